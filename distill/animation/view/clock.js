// What time it is: by the sound where there is one, else by the wall.

const SNAP = 0.12; // seconds that the sound and our reckoning may be apart before we jump
const PULL = 0.08; // share of a smaller distance that each look takes away

/** Plays, seeks, loops. The time is smooth, though a browser says that of a sound in steps. */
class Clock {
  constructor(sound, seconds) {
    this.seconds = seconds;
    this.sound = sound;
    this.rate = 1;
    this.loop = false;
    this.playing = false;
    this.starting = false; // a sound begins some time after it was told to
    this.base = 0; // the time at the moment `since`
    this.since = 0;
    this.onchange = () => {};
    if (!sound) return;
    sound.addEventListener("ended", () => this.stopAt(this.seconds));
    sound.addEventListener("pause", () => this.playing && !sound.ended && this.pause());
    sound.addEventListener("seeked", () => !this.playing && this.onchange());
  }

  now() {
    if (!this.playing || this.starting) return this.base;
    const moment = performance.now() / 1000;
    let time = this.base + (moment - this.since) * this.rate;
    if (this.sound) {
      const apart = this.sound.currentTime - time;
      time += Math.abs(apart) > SNAP ? apart : apart * PULL;
      [this.base, this.since] = [time, moment];
    } else if (time >= this.seconds) {
      if (!this.loop) this.stopAt(this.seconds);
      time = this.loop ? time % this.seconds : this.seconds;
      [this.base, this.since] = [time, moment];
    }
    return clamp(time, 0, this.seconds);
  }

  async play() {
    if (this.base >= this.seconds - 0.005) this.seek(0);
    this.since = performance.now() / 1000;
    this.playing = true;
    this.onchange();
    if (!this.sound) return;
    this.starting = true;
    try {
      await this.sound.play();
      [this.base, this.since] = [this.sound.currentTime, performance.now() / 1000];
    } catch {
      this.pause(); // before it began, or the browser does not let it; the button shows that it does not play
    } finally {
      this.starting = false;
    }
  }

  /** Go on without the sound. */
  mute() {
    this.base = this.now();
    this.playing = false;
    this.sound = null;
    this.onchange();
  }

  pause() {
    this.base = this.now();
    this.playing = false;
    this.sound?.pause();
    this.onchange();
  }

  stopAt(time) {
    this.playing = false;
    this.base = time;
    this.onchange();
  }

  seek(time) {
    this.base = clamp(time, 0, this.seconds);
    this.since = performance.now() / 1000;
    if (this.sound) this.sound.currentTime = this.base;
    this.onchange();
  }

  setRate(rate) {
    this.base = this.now();
    this.since = performance.now() / 1000;
    this.rate = rate;
    if (this.sound) this.sound.playbackRate = this.sound.defaultPlaybackRate = rate;
  }

  setLoop(loop) {
    this.loop = loop;
    if (this.sound) this.sound.loop = loop;
  }
}
