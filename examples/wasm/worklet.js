// What the sound card gives, a hundredth of a second at a time.
class Listener extends AudioWorkletProcessor {
  constructor() {
    super();
    this.heard = new Float32Array(128 * Math.ceil(sampleRate / 12800));
    this.filled = 0;
  }

  process([[channel]]) {
    if (!channel) return true; // nothing is connected now
    this.heard.set(channel, this.filled);
    this.filled += channel.length;
    if (this.filled + channel.length > this.heard.length) {
      this.port.postMessage(this.heard.slice(0, this.filled));
      this.filled = 0;
    }
    return true;
  }
}
registerProcessor("listener", Listener);
