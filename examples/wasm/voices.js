// What the face hears: somebody who speaks now, or a file. Both have `tick(seconds)`, the time that is to be seen.

const KEPT = 64; // frames
const SLACK = 0.06; // seconds by which a picture may lie behind the newest frame, where sound comes in pieces

/** Browsers let a page sound once it was clicked; what was dropped on it is no click. */
async function started(context, hint) {
  const click = () => context.resume();
  const waiting = setTimeout(hint, 500);
  addEventListener("click", click);
  await context.resume();
  removeEventListener("click", click);
  clearTimeout(waiting);
}

/** Frames by their times. */
class Frames {
  constructor(names) {
    this.columns = new Map(names.map((name, index) => [name, index]));
    this.kept = [];
  }

  add(frames) {
    this.kept.push(...frames);
    this.kept.splice(0, this.kept.length - KEPT);
  }

  get newest() {
    return this.kept.length ? this.kept[this.kept.length - 1].time : 0;
  }

  /** A control at a time, linear between frames, held beyond them. */
  value(name, time) {
    const column = this.columns.get(name);
    if (column === undefined || !this.kept.length) return 0;
    let after = this.kept.findIndex((frame) => frame.time >= time);
    if (after < 0) after = this.kept.length - 1;
    const [one, two] = [this.kept[Math.max(after - 1, 0)], this.kept[after]];
    const share = two.time > one.time ? clamp((time - one.time) / (two.time - one.time), 0, 1) : 1;
    return one.values[column] + (two.values[column] - one.values[column]) * share;
  }
}

class Microphone {
  static async open(face, worklet, hint) {
    const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: true };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    const context = new AudioContext({ latencyHint: "interactive" });
    try {
      await context.audioWorklet.addModule(worklet);
      await started(context, hint);
      return new Microphone(face, stream, context);
    } catch (problem) {
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      throw problem;
    }
  }

  constructor(face, stream, context) {
    Object.assign(this, { face, stream, context, frames: new Frames(face.names), shown: 0, level: 0, over: false });
    stream.getAudioTracks()[0].addEventListener("ended", () => (this.over = true));
  }

  begin() {
    const { face, stream, context } = this;
    if (!face.begin(context.sampleRate)) throw new Error(`nothing is known of ${context.sampleRate} Hz`);
    const listener = new AudioWorkletNode(context, "listener", { channelCount: 1, channelCountMode: "explicit" });
    listener.port.onmessage = ({ data }) => this.over || this.hear(data);
    context.createMediaStreamSource(stream).connect(listener).connect(context.destination); // it gives silence
  }

  hear(samples) {
    this.level = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), this.level);
    this.frames.add(this.face.push(samples));
  }

  /** Goes on by the wall's clock, and never beyond what is known. */
  tick(passed) {
    this.level *= Math.exp(-passed / 0.15);
    this.shown = clamp(this.shown + passed, this.frames.newest - SLACK, this.frames.newest);
    return this.shown;
  }

  /** Seconds from what was said to what is seen, without what the sound card and the screen take. */
  get behind() {
    return Math.max(this.face.heard - this.shown, 0);
  }

  close() {
    this.over = true; // what is still on its way is not heard
    this.stream.getTracks().forEach((track) => track.stop());
    this.context.close();
  }
}

/** A file is heard ahead of its sound, so that lips and voice meet. */
class Recording {
  static async open(face, file, hint) {
    const decoder = new OfflineAudioContext(1, 1, face.rate); // decodes to its own rate
    const sound = await decoder.decodeAudioData(await file.arrayBuffer());
    const context = new AudioContext();
    await started(context, hint);
    return new Recording(face, sound, context);
  }

  constructor(face, sound, context) {
    Object.assign(this, { face, sound, context, frames: new Frames(face.names), place: 0, level: 0, behind: 0 });
    this.seconds = sound.duration;
  }

  begin() {
    const { face, sound, context } = this;
    face.begin(face.rate);
    const source = new AudioBufferSourceNode(context, { buffer: sound });
    source.connect(context.destination);
    this.start = context.currentTime + 0.05;
    source.start(this.start);
  }

  tick() {
    const now = this.context.currentTime - this.start - (this.context.outputLatency || 0);
    while (this.frames.newest < Math.min(now, this.seconds) + 0.1) this.hear();
    const from = Math.max(Math.floor(now * this.sound.sampleRate), 0);
    const heard = this.sound.getChannelData(0).subarray(from, from + this.sound.sampleRate / 50);
    this.level = heard.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0.8 * this.level);
    return now;
  }

  /** The next tenth of a second; silence behind the end. */
  hear() {
    const piece = new Float32Array(this.sound.sampleRate / 10);
    for (let channel = 0; channel < this.sound.numberOfChannels; channel++) {
      const part = this.sound.getChannelData(channel).subarray(this.place, this.place + piece.length);
      part.forEach((sample, index) => (piece[index] += sample / this.sound.numberOfChannels));
    }
    this.place += piece.length;
    this.frames.add(this.face.push(piece));
  }

  get over() {
    return this.context.currentTime - this.start > this.seconds + 0.5;
  }

  close() {
    this.context.close();
  }
}
