// How the head looks. Colours are linear light between here and the last line of FRAGMENT.

const VERTEX = `#version 300 es
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 openness; // to the sky, with the jaw closed and open (openness.py)
uniform mat4 camera;
uniform float jaw;
out vec3 place;
out vec3 upward;
out float open;
void main() {
  place = position;
  upward = normal;
  open = mix(openness.x, openness.y, jaw);
  gl_Position = camera * vec4(position, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec3 place;
in vec3 upward;
in float open;
uniform vec3 eye;
uniform vec3 colour;
uniform vec3 bleed;   // how far light goes round an edge, by colour: red light travels furthest in skin
uniform vec2 gloss;   // sharpness and strength of highlights
uniform vec2 fade;    // heights between which the neck dissolves
uniform vec3 cave;    // depths between which light comes into the mouth, and how much, for what is in it
uniform float least;  // light that it gets anywhere
out vec4 shown;

const vec3 KEY = vec3(-0.46, 0.50, 0.73);
const vec3 FILL = vec3(0.83, 0.08, 0.55);
const vec3 RIM = vec3(0.62, 0.45, -0.64);
const vec3 KICK = vec3(-0.78, 0.25, -0.57);

vec3 diffuse(vec3 n, vec3 light) {
  return pow(max((vec3(dot(n, light)) + bleed) / (1.0 + bleed), 0.0), 1.0 + bleed);
}

float highlight(vec3 n, vec3 light, vec3 view) {
  vec3 halfway = normalize(light + view);
  float grazing = 0.04 + 0.96 * pow(1.0 - clamp(dot(view, halfway), 0.0, 1.0), 5.0);
  return grazing * pow(max(dot(n, halfway), 0.0), gloss.x) * (gloss.x + 8.0) / 25.0 * max(dot(n, light), 0.0);
}

void main() {
  vec3 view = normalize(eye - place);
  vec3 n = normalize(upward);
  float lit = max(max(open, least), cave.z * smoothstep(cave.x, cave.y, place.z));
  float shade = lit * lit;
  vec3 shadow = pow(vec3(max(lit, 0.001)), vec3(1.25, 1.75, 1.9)); // what is hidden still glows red from within
  vec3 light = 2.1 * vec3(1.0, 0.94, 0.86) * diffuse(n, normalize(KEY)) * mix(shadow, vec3(1.0), 0.35)
    + 0.40 * vec3(0.78, 0.88, 1.0) * diffuse(n, normalize(FILL))
    + 1.3 * vec3(1.0, 0.97, 0.95) * diffuse(n, normalize(RIM)) * shade
    + 0.7 * vec3(0.72, 0.84, 1.0) * diffuse(n, normalize(KICK)) * shade
    + mix(vec3(0.20, 0.15, 0.13), vec3(0.36, 0.39, 0.44), 0.5 + 0.5 * n.y);
  vec3 sum = colour * light * shadow;
  float spark = 2.6 * highlight(n, normalize(KEY), view) + 0.8 * highlight(n, normalize(FILL), view)
    + 1.2 * highlight(n, normalize(RIM), view) + 0.8 * highlight(n, normalize(KICK), view);
  sum += gloss.y * spark * shade;
  sum += 0.10 * pow(1.0 - clamp(dot(n, view), 0.0, 1.0), 4.0) * shade; // down on the skin
  sum *= 0.52;
  sum = clamp(sum * (2.51 * sum + 0.03) / (sum * (2.43 * sum + 0.59) + 0.14), 0.0, 1.0); // Narkowicz's fit to ACES
  float there = smoothstep(fade.x, fade.y, place.y);
  shown = vec4(pow(sum, vec3(1.0 / 2.2)) * there, there);
}`;

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(made));
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(made, i);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  return { made, uniforms };
}
