// A head on a canvas: shapes are added up here, the graphics card only draws.

const WIDE = 0.42; // radians, top to bottom
// Screens with large pixels get four of ours for each: edges are as smooth as by multisampling, and some software
// renderers leave dark specks between small triangles when they multisample.
const FINE = devicePixelRatio >= 1.5;
const DEEP = 0.08; // metres from the lips to where light does not come
// How a part takes light, by its name: bleeding, sharpness and strength of highlights, how much comes to it within the
// mouth, and how much at least.
const MATTER = [
  [/^(eyes|irises|pupils)$/, [0.12, 0.12, 0.12], [420, 1.6], 0, 0.5],
  [/^teeth$/, [0.25, 0.22, 0.18], [70, 0.8], 0.8],
  [/^tongue$/, [0.4, 0.15, 0.12], [50, 0.9], 0.8],
  [/^mouth$/, [0.4, 0.15, 0.12], [50, 0.9], 0.5],
  [/^lips$/, [0.36, 0.14, 0.1], [40, 0.9], 0],
  [/^(brows|lashes)$/, [0.1, 0.1, 0.1], [20, 0.1], 0],
  [/./, [0.36, 0.14, 0.09], [22, 0.55], 0],
];

/** Vertices as a face moves them; the same arrays at every call. */
class Pose {
  constructor(mesh) {
    this.mesh = mesh;
    this.positions = new Float32Array(mesh.rest);
    this.normals = new Float32Array(mesh.rest.length);
  }

  set(weight) {
    const { positions, mesh } = this;
    positions.set(mesh.rest);
    for (const [name, { indices, offsets }] of mesh.shapes) {
      const amount = weight(name);
      if (!amount) continue;
      for (let i = 0, from = 0; i < indices.length; i++, from += 3) {
        const to = 3 * indices[i];
        positions[to] += amount * offsets[from];
        positions[to + 1] += amount * offsets[from + 1];
        positions[to + 2] += amount * offsets[from + 2];
      }
    }
    this.turn();
    return this;
  }

  /** Normals: the sum of a vertex's triangles, which count by their size. */
  turn() {
    const { positions: p, normals: n, mesh } = this;
    n.fill(0);
    for (let i = 0; i < mesh.triangles.length; i += 3) {
      const [a, b, c] = [3 * mesh.triangles[i], 3 * mesh.triangles[i + 1], 3 * mesh.triangles[i + 2]];
      const [ux, uy, uz] = [p[b] - p[a], p[b + 1] - p[a + 1], p[b + 2] - p[a + 2]];
      const [vx, vy, vz] = [p[c] - p[a], p[c + 1] - p[a + 1], p[c + 2] - p[a + 2]];
      const [x, y, z] = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
      n[a] += x, n[a + 1] += y, n[a + 2] += z;
      n[b] += x, n[b + 1] += y, n[b + 2] += z;
      n[c] += x, n[c + 1] += y, n[c + 2] += z;
    }
    for (let i = 0; i < n.length; i += 3) {
      const long = Math.sqrt(n[i] * n[i] + n[i + 1] * n[i + 1] + n[i + 2] * n[i + 2]) || 1;
      n[i] /= long, n[i + 1] /= long, n[i + 2] /= long;
    }
  }
}

/** Where all heads are looked at from. */
class Camera {
  constructor(mesh) {
    this.middle = mesh.low.map((low, axis) => (low + mesh.high[axis]) / 2);
    this.high = mesh.high[1] - mesh.low[1];
    this.middle[1] += 0.04 * this.high; // the neck dissolves below
    this.wide = mesh.high[0] - mesh.low[0];
    this.front();
  }

  front() {
    [this.yaw, this.pitch, this.near] = [0, 0, 1];
  }

  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = clamp(this.pitch + pitch, -1.2, 1.2);
  }

  approach(factor) {
    this.near = clamp(this.near * factor, 0.8, 6);
  }

  /** The matrix, column by column, and the place of the eye; `aspect` is width by height. */
  at(aspect) {
    const focal = 1 / Math.tan(WIDE / 2);
    const far = (focal * Math.max(this.high * 0.5, (this.wide * 0.6) / aspect) * 0.96 + this.wide / 2) / this.near;
    const back = [
      Math.sin(this.yaw) * Math.cos(this.pitch),
      Math.sin(this.pitch),
      Math.cos(this.yaw) * Math.cos(this.pitch),
    ];
    const eye = back.map((value, axis) => this.middle[axis] + far * value);
    const side = unit(cross([0, 1, 0], back));
    const up = cross(back, side);
    const [first, last] = [far / 20, far * 4];
    const rows = [
      side.map((value) => (value * focal) / aspect),
      up.map((value) => value * focal),
      back.map((value) => (value * (last + first)) / (first - last)),
    ];
    const matrix = new Float32Array(16);
    for (let axis = 0; axis < 3; axis++) {
      rows.forEach((row, index) => (matrix[4 * axis + index] = row[axis]));
      matrix[4 * axis + 3] = -back[axis];
    }
    rows.forEach((row, index) => (matrix[12 + index] = -dot(row, eye)));
    matrix[14] += (2 * last * first) / (first - last);
    matrix[15] = dot(back, eye);
    return { matrix, eye };
  }
}

/** Depths of the mouth: its darkest and its lightest, by where the lips are. */
function caveOf(mesh) {
  const lips = mesh.parts.find((part) => part.name === "lips");
  if (!lips) return [0, 1];
  let front = -Infinity;
  for (const vertex of mesh.triangles.subarray(lips.first, lips.first + lips.count))
    front = Math.max(front, mesh.rest[3 * vertex + 2]);
  return [front - DEEP, front];
}

class Stage {
  constructor(canvas, mesh, camera) {
    [this.canvas, this.mesh, this.camera, this.pose] = [canvas, mesh, camera, new Pose(mesh)];
    this.gl = canvas.getContext("webgl2", { antialias: FINE, alpha: true, premultipliedAlpha: true });
    this.finely = true;
    if (!this.gl) return;
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => (this.prepare(), this.draw()));
    this.prepare();
  }

  prepare() {
    const { gl, mesh } = this;
    mesh.cave ??= caveOf(mesh);
    mesh.finer ??= new Refinement(mesh);
    this.finer = [new Float32Array(3 * mesh.finer.count), new Float32Array(3 * mesh.finer.count)];
    this.program = program(gl, VERTEX, FRAGMENT);
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    this.buffers = [[3, null], [3, null], [2, mesh.finer.spread(mesh.open, 2)]].map(([size, values], location) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      if (values) gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, size, gl.FLOAT, false, 0, 0);
      return buffer;
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.finer.triangles, gl.STATIC_DRAW);
  }

  /** Move the head: `weight` of a shape's name. */
  move(weight) {
    this.pose.set(weight);
    this.jaw = Math.sqrt(clamp(weight("jawOpen") - weight("mouthClose"), 0, 1)); // a small gap lets in much light
  }

  draw() {
    const { gl, canvas, mesh } = this;
    if (!gl || gl.isContextLost()) return;
    const scale = FINE ? Math.min(devicePixelRatio, 2.5) : devicePixelRatio * (this.finely ? 2 : 1);
    const pixels = (length) => Math.max(Math.round(length * scale), 1);
    const [width, height] = [pixels(canvas.clientWidth), pixels(canvas.clientHeight)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.bindVertexArray(this.array);
    mesh.finer.apply(this.pose.positions, this.pose.normals, ...this.finer);
    this.finer.forEach((values, index) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[index]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    });
    const { made, uniforms } = this.program;
    const { matrix, eye } = this.camera.at(width / height);
    gl.useProgram(made);
    gl.uniformMatrix4fv(uniforms.camera, false, matrix);
    gl.uniform3fv(uniforms.eye, eye);
    gl.uniform1f(uniforms.jaw, this.jaw);
    const tall = mesh.high[1] - mesh.low[1];
    gl.uniform2f(uniforms.fade, mesh.low[1] + 0.01 * tall, mesh.low[1] + 0.16 * tall);
    for (const part of mesh.parts) {
      const [, bleed, gloss, inside, least = 0] = MATTER.find(([word]) => word.test(part.name));
      gl.uniform3fv(uniforms.colour, part.colour.slice(0, 3));
      gl.uniform3fv(uniforms.bleed, bleed);
      gl.uniform2fv(uniforms.gloss, gloss);
      gl.uniform3fv(uniforms.cave, [...mesh.cave, inside]);
      gl.uniform1f(uniforms.least, least);
      gl.drawElements(gl.TRIANGLES, 4 * part.count, gl.UNSIGNED_INT, 16 * part.first);
    }
  }
}
