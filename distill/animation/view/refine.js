// A rounder head of the same shape: every triangle becomes four, and each edge bends as its ends' normals say
// (Boubekeur and Alexa: Phong tessellation, 2008).

const ROUND = 0.75; // share of the way from the flat middle of an edge to the curved one

class Refinement {
  constructor(mesh) {
    const count = mesh.rest.length / 3;
    const middles = new Map();
    const ends = [];
    const middle = (a, b) => {
      const key = a < b ? a * 65536 + b : b * 65536 + a;
      if (!middles.has(key)) {
        middles.set(key, count + ends.length / 2);
        ends.push(a, b);
      }
      return middles.get(key);
    };
    const triangles = [];
    for (let i = 0; i < mesh.triangles.length; i += 3) {
      const [a, b, c] = mesh.triangles.subarray(i, i + 3);
      const [ab, bc, ca] = [middle(a, b), middle(b, c), middle(c, a)];
      triangles.push(a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca);
    }
    this.coarse = count;
    this.ends = Uint32Array.from(ends);
    this.triangles = Uint32Array.from(triangles);
    this.count = count + ends.length / 2;
  }

  /** Write the finer positions and normals of coarse ones; all have three numbers a vertex. */
  apply(p, n, positions, normals) {
    positions.set(p);
    normals.set(n);
    for (let i = 0, to = 3 * this.coarse; i < this.ends.length; i += 2, to += 3) {
      const [a, b] = [3 * this.ends[i], 3 * this.ends[i + 1]];
      const [x, y, z] = [(p[b] - p[a]) / 2, (p[b + 1] - p[a + 1]) / 2, (p[b + 2] - p[a + 2]) / 2];
      const up = (x * n[a] + y * n[a + 1] + z * n[a + 2]) * (ROUND / 2); // of the middle over the plane at a, halved
      const down = (x * n[b] + y * n[b + 1] + z * n[b + 2]) * (ROUND / 2);
      positions[to] = p[a] + x - up * n[a] + down * n[b];
      positions[to + 1] = p[a + 1] + y - up * n[a + 1] + down * n[b + 1];
      positions[to + 2] = p[a + 2] + z - up * n[a + 2] + down * n[b + 2];
      const [u, v, w] = [n[a] + n[b], n[a + 1] + n[b + 1], n[a + 2] + n[b + 2]];
      const long = Math.sqrt(u * u + v * v + w * w) || 1;
      normals[to] = u / long;
      normals[to + 1] = v / long;
      normals[to + 2] = w / long;
    }
  }

  /** Values of coarse vertices, `size` numbers each, and the means of them between. */
  spread(values, size) {
    const all = new Float32Array(this.count * size);
    all.set(values);
    for (let i = 0, to = this.coarse * size; i < this.ends.length; i += 2)
      for (let k = 0; k < size; k++, to++)
        all[to] = (values[this.ends[i] * size + k] + values[this.ends[i + 1] * size + k]) / 2;
    return all;
  }
}
