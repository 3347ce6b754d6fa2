// What the page carries: facts as JSON, and numbers as base64 (distill/animation/view/packed.py says how they lie).

const facts = JSON.parse(document.getElementById("facts").textContent);

function bytesOf(id) {
  const element = document.getElementById(id);
  const text = atob(element.textContent);
  element.remove(); // the text is not needed again, and large
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => a.map((value) => value / (Math.hypot(...a) || 1));

/** The curves of one face, at any time. */
class Take {
  constructor(about, id) {
    const counts = new Uint16Array(bytesOf(id).buffer);
    this.name = about.name;
    this.rate = about.rate;
    this.start = about.start;
    this.frames = about.frames;
    this.end = about.start + about.frames / about.rate;
    this.columns = new Map();
    let place = 0;
    about.controls.forEach((name, index) => {
      const [low, step] = [about.low[index], about.step[index]];
      const column = new Float32Array(this.frames).fill(low);
      if (step > 0) for (let frame = 0; frame < this.frames; frame++) column[frame] += counts[place++] * step;
      this.columns.set(name, column);
    });
  }

  /** The sum of controls by their shares, linear between frames; undefined where it lacks one of them. */
  value(terms, time) {
    const position = clamp((time - this.start) * this.rate, 0, this.frames - 1);
    const before = Math.floor(position);
    const after = Math.min(before + 1, this.frames - 1);
    let sum = 0;
    for (const name in terms) {
      const column = this.columns.get(name);
      if (!column) return undefined;
      sum += terms[name] * (column[before] + (column[after] - column[before]) * (position - before));
    }
    return sum;
  }

  has(terms) {
    return Object.keys(terms).every((name) => this.columns.has(name));
  }

  /** The values of a line, frame by frame; made once. */
  line(terms) {
    this.lines ??= new Map();
    if (!this.lines.has(terms)) {
      const sum = new Float32Array(this.frames);
      for (const name in terms) this.columns.get(name).forEach((value, frame) => (sum[frame] += terms[name] * value));
      this.lines.set(terms, sum);
    }
    return this.lines.get(terms);
  }

  /** The least and the largest value of a line. */
  range(terms) {
    this.ranges ??= new Map();
    if (!this.ranges.has(terms)) {
      let [low, high] = [0, 0];
      for (const value of this.has(terms) ? this.line(terms) : []) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
      this.ranges.set(terms, [low, high]);
    }
    return this.ranges.get(terms);
  }
}

/** The head: where vertices rest, triangles by part, and what each shape moves. */
function readMesh(about) {
  const bytes = bytesOf("mesh");
  const [unsigned, signed] = [new Uint16Array(bytes.buffer), new Int16Array(bytes.buffer)];
  let place = 0;
  const rest = new Float32Array(about.vertices * 3);
  for (; place < rest.length; place++) rest[place] = about.low[place % 3] + unsigned[place] * about.step[place % 3];
  const parts = [];
  const begin = place;
  for (const part of about.parts) {
    parts.push({ name: part.name, colour: part.colour, first: place - begin, count: part.count });
    place += part.count;
  }
  const triangles = unsigned.slice(begin, place);
  const shapes = new Map();
  for (const shape of about.shapes) {
    const indices = unsigned.slice(place, place + shape.count);
    place += shape.count;
    const offsets = Float32Array.from(signed.subarray(place, place + 3 * shape.count), (value) => value * shape.step);
    place += 3 * shape.count;
    shapes.set(shape.name, { indices, offsets });
  }
  const open = Float32Array.from(bytes.subarray(2 * place), (value) => value / 255);
  const high = about.low.map((low, axis) => low + 65535 * about.step[axis]);
  return { rest, parts, triangles, shapes, open, low: about.low, high };
}
