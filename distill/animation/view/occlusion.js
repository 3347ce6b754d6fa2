// How open each vertex is to the sky: a head without this has glowing nostrils and a lit throat.
//
// From many directions a small picture of depths says which vertices are seen; those that are count by how much they
// face it (Zhukov, Iones, Kronin: An ambient light illumination model, 1998). Done once, for the jaw closed and open.

const DIRECTIONS = 64;
const PIXELS = 256;
const NEAR = 0.012; // of the head's size: nearer neighbours do not hide, or every vertex would hide itself

function openness(gl, mesh, poses) {
  const { made, uniforms } = program(gl, DEPTH_VERTEX, DEPTH_FRAGMENT);
  const [frame, colour, depth] = [gl.createFramebuffer(), gl.createRenderbuffer(), gl.createRenderbuffer()];
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  for (const [buffer, format, place] of [
    [colour, gl.RGBA8, gl.COLOR_ATTACHMENT0],
    [depth, gl.DEPTH_COMPONENT24, gl.DEPTH_ATTACHMENT],
  ]) {
    gl.bindRenderbuffer(gl.RENDERBUFFER, buffer);
    gl.renderbufferStorage(gl.RENDERBUFFER, format, PIXELS, PIXELS);
    gl.framebufferRenderbuffer(gl.FRAMEBUFFER, place, gl.RENDERBUFFER, buffer);
  }
  gl.viewport(0, 0, PIXELS, PIXELS);
  gl.clearColor(1, 1, 1, 1);
  gl.enable(gl.DEPTH_TEST);
  gl.disable(gl.BLEND);
  gl.useProgram(made);
  const vertices = gl.createBuffer();
  const indices = gl.createBuffer();
  gl.bindVertexArray(null);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, indices);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.triangles, gl.STATIC_DRAW);
  const found = new Float32Array((mesh.rest.length / 3) * 2);
  const seen = new Uint8Array(PIXELS * PIXELS * 4);
  poses.forEach(({ positions, normals }, pose) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, vertices);
    gl.bufferData(gl.ARRAY_BUFFER, positions, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 0, 0);
    const [light, all] = [new Float32Array(positions.length / 3), new Float32Array(positions.length / 3)];
    for (let number = 0; number < DIRECTIONS; number++) {
      const view = parallel(mesh, direction(number));
      gl.uniformMatrix4fv(uniforms.camera, false, view.matrix);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.drawElements(gl.TRIANGLES, mesh.triangles.length, gl.UNSIGNED_SHORT, 0);
      gl.readPixels(0, 0, PIXELS, PIXELS, gl.RGBA, gl.UNSIGNED_BYTE, seen);
      look(view, seen, positions, normals, light, all);
    }
    const smooth = smoothed(mesh, light.map((value, vertex) => (all[vertex] ? value / all[vertex] : 1)));
    smooth.forEach((value, vertex) => (found[2 * vertex + pose] = value));
  });
  for (const buffer of [vertices, indices]) gl.deleteBuffer(buffer);
  for (const buffer of [colour, depth]) gl.deleteRenderbuffer(buffer);
  gl.deleteFramebuffer(frame);
  gl.deleteProgram(made);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  return found;
}

/** Adds, for each vertex, what of this direction's light it gets, and what it could get. */
function look({ towards, matrix: m }, seen, positions, normals, light, all) {
  for (let vertex = 0; vertex < light.length; vertex++) {
    const [x, y, z] = positions.subarray(3 * vertex, 3 * vertex + 3);
    const facing =
      normals[3 * vertex] * towards[0] + normals[3 * vertex + 1] * towards[1] + normals[3 * vertex + 2] * towards[2];
    if (facing <= 0) continue;
    all[vertex] += facing;
    const across = Math.floor((m[0] * x + m[4] * y + m[8] * z + m[12] + 1) * 0.5 * PIXELS);
    const up = Math.floor((m[1] * x + m[5] * y + m[9] * z + m[13] + 1) * 0.5 * PIXELS);
    const deep = (m[2] * x + m[6] * y + m[10] * z + m[14] + 1) * 0.5;
    const pixel = 4 * (clamp(up, 0, PIXELS - 1) * PIXELS + clamp(across, 0, PIXELS - 1));
    const first = seen[pixel] / 255 + seen[pixel + 1] / 65025 + seen[pixel + 2] / 16581375;
    if (deep < first + NEAR) light[vertex] += facing;
  }
}

/** Evenly over the sphere (a Fibonacci lattice), but none from straight below: there is a body. */
function direction(number) {
  const y = 1 - (1.7 * (number + 0.5)) / DIRECTIONS;
  const turn = number * Math.PI * (3 - Math.sqrt(5));
  const wide = Math.sqrt(1 - y * y);
  return [Math.cos(turn) * wide, y, Math.sin(turn) * wide];
}

/** A camera without perspective that holds the whole head; column by column. */
function parallel(mesh, towards) {
  const middle = mesh.low.map((low, axis) => (low + mesh.high[axis]) / 2);
  const reach = Math.hypot(...mesh.low.map((low, axis) => mesh.high[axis] - low)) / 2;
  const side = unit(cross(Math.abs(towards[1]) > 0.99 ? [1, 0, 0] : [0, 1, 0], towards));
  const up = cross(towards, side);
  const back = towards.map((value) => -value); // depth grows away from the viewer
  const rows = [side, up, back];
  const matrix = new Float32Array(16);
  rows.forEach((row, index) => {
    for (let axis = 0; axis < 3; axis++) matrix[4 * axis + index] = row[axis] / reach;
    matrix[12 + index] = -dot(row, middle) / reach;
  });
  matrix[15] = 1;
  return { towards, matrix };
}

/** The mean of each vertex and its neighbours. */
function smoothed(mesh, values) {
  const [sum, count] = [Float32Array.from(values), new Float32Array(values.length).fill(1)];
  for (let corner = 0; corner < mesh.triangles.length; corner++) {
    const next = corner % 3 === 2 ? corner - 2 : corner + 1;
    const [one, other] = [mesh.triangles[corner], mesh.triangles[next]];
    sum[one] += values[other];
    sum[other] += values[one];
    count[one]++;
    count[other]++;
  }
  return sum.map((value, vertex) => value / count[vertex]);
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => a.map((value) => value / (Math.hypot(...a) || 1));
