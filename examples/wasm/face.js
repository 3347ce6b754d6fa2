// The student: samples of one rate in, frames out. C in WebAssembly (module.c), the same bits as any other build of it.

class Face {
  static async open(bytes) {
    const { instance } = await WebAssembly.instantiate(bytes, {});
    return new Face(instance.exports);
  }

  constructor(exports) {
    this.exports = exports;
    this.controls = exports.controls();
    this.names = Array.from({ length: this.controls }, (_, index) => this.text(exports.name(index)));
    this.hop = exports.hop(); // seconds
    this.rate = exports.rate(); // Hz, that the student hears
    [this.spent, this.hops] = [0, 0]; // milliseconds that the last hops took, and how many these were
  }

  text(at) {
    const bytes = new Uint8Array(this.exports.memory.buffer, at);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  /** Begin again, with silence; false where nothing is known of such a rate. */
  begin(rate) {
    this.heard = 0; // seconds
    this.given = rate;
    return this.exports.begin(rate) === 1;
  }

  /** Seconds that a frame waits for what is said after its time. */
  get latency() {
    return this.exports.latency();
  }

  /** The frames that are complete with these samples. */
  push(samples) {
    const { exports, controls } = this;
    const frames = [];
    const begun = performance.now();
    for (let at = 0; at < samples.length; at += exports.room()) {
      const piece = samples.subarray(at, at + exports.room());
      new Float32Array(exports.memory.buffer, exports.samples(), piece.length).set(piece);
      const made = exports.push(piece.length);
      const all = new Float32Array(exports.memory.buffer, exports.frames(), made * controls);
      const last = exports.time();
      for (let index = 0; index < made; index++) {
        const values = all.slice(index * controls, (index + 1) * controls);
        frames.push({ time: last - (made - 1 - index) * this.hop, values });
      }
    }
    this.heard += samples.length / this.given;
    this.count(performance.now() - begun, samples.length / this.given / this.hop);
    return frames;
  }

  /** A clock of a browser has coarse steps: only many hops together say how long one takes. */
  count(spent, hops) {
    this.spent += spent;
    this.hops += hops;
    if (this.hops > 200) [this.spent, this.hops] = [this.spent / 2, this.hops / 2];
  }

  /** Milliseconds of computing that a hop takes. */
  get cost() {
    return this.spent / (this.hops || 1);
  }
}
