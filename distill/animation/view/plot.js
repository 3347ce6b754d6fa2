// Curves and sound over time, on canvases as sharp as the screen.

const STROKES = [[], [7, 4], [2, 3], [9, 3, 2, 3]]; // of faces, in their order; as in view.css

/** A canvas as wide as it is on the screen, cleared, in CSS pixels. */
function sheet(canvas) {
  const scale = clamp(devicePixelRatio, 2, 3); // finer than the screen where its places are fractions of pixels
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const ink = canvas.getContext("2d");
  ink.setTransform(scale, 0, 0, scale, 0, 0);
  ink.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  return { ink, width, height, colour, font: (size) => `${size}px ${style.fontFamily}` };
}

/** The loudness between two times as a shape around `middle`. */
function drawSound(ink, peaks, rate, from, to, x, middle, half) {
  const [first, last] = [Math.max(Math.floor(from * rate), 0), Math.min(Math.ceil(to * rate), peaks.length)];
  const apart = x((first + 1) / rate) - x(first / rate);
  const together = Math.max(Math.ceil(1 / apart), 1); // slices of one pixel
  ink.beginPath();
  const tops = [];
  for (let slice = first; slice < last; slice += together) {
    let peak = 0;
    for (let i = slice; i < Math.min(slice + together, last); i++) peak = Math.max(peak, peaks[i]);
    tops.push([x((slice + together / 2) / rate), Math.max((peak / 255) * half, 0.4)]);
  }
  for (const [across, tall] of tops) ink.lineTo(across, middle - tall);
  for (const [across, tall] of tops.reverse()) ink.lineTo(across, middle + tall);
  ink.closePath();
  ink.fill();
}

/** The whole of it, behind the slider. */
function drawOverview(canvas, { sound, peaks, takes, lines, seconds }, now) {
  const { ink, width, height, colour } = sheet(canvas);
  const x = (time) => (time / seconds) * width;
  for (const [style, from, to] of [["--link", 0, now], ["--wave", now, seconds]]) {
    ink.save();
    ink.beginPath();
    ink.rect(x(from), 0, x(to) - x(from), height);
    ink.clip();
    ink.fillStyle = colour(style);
    if (sound) drawSound(ink, peaks, sound.peak_rate, 0, seconds, x, height / 2, height / 2 - 2);
    else drawSilhouette(ink, takes, lines, x, height);
    ink.restore();
  }
  ink.fillStyle = colour("--ink");
  ink.fillRect(x(now) - 1, 0, 2, height);
}

/** Without sound: how far the first line of the first face reaches. */
function drawSilhouette(ink, takes, lines, x, height) {
  const line = lines.find((line) => takes[0].has(line.terms));
  const take = takes[0];
  const values = take.line(line.terms);
  const [low, high] = take.range(line.terms);
  const most = Math.max(high, -low, 0.05);
  ink.beginPath();
  ink.moveTo(x(take.start), height);
  values.forEach((value, frame) => {
    ink.lineTo(x(take.start + frame / take.rate), height - 2 - (Math.abs(value) / most) * (height - 4));
  });
  ink.lineTo(x(take.end), height);
  ink.fill();
}

/** Curves around a moment; remembers where times are on the canvas. */
class Score {
  constructor(canvas, view) {
    Object.assign(this, { canvas, view, span: 4 });
  }

  /** The least and the largest that is drawn, and at least 0 and 1. */
  reach(lines) {
    const ranges = this.view.takes.flatMap((take) => lines.map((line) => take.range(line.terms)));
    return [Math.min(0, ...ranges.map(([low]) => low)), Math.max(1, ...ranges.map(([, high]) => high))];
  }

  /** Which seconds are in sight: `now` in their middle, but nothing before the beginning or after the end. */
  around(now) {
    const span = Math.min(this.span, this.view.seconds);
    const from = clamp(now - span / 2, 0, this.view.seconds - span);
    return [from, from + span];
  }

  timeAt(across) {
    const [from, to] = this.shown;
    return clamp(from + ((across - this.left) / (this.right - this.left)) * (to - from), 0, this.view.seconds);
  }

  draw(now, hovered, lines) {
    const { ink, width, height, colour, font } = sheet(this.canvas);
    const { takes, peaks, sound, phones, begin } = this.view;
    const [from, to] = (this.shown = this.around(now));
    [this.left, this.right] = [30, width - 8];
    const x = (time) => this.left + ((time - from) / (to - from)) * (this.right - this.left);
    const heard = sound ? 46 : 0;
    const said = phones.length ? 20 : 0;
    const [top, bottom] = [heard + said + 8, height - 20];
    const [low, high] = this.reach(lines);
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);

    ink.font = font(11);
    ink.textBaseline = "middle";
    ink.fillStyle = colour("--soft");
    ink.strokeStyle = colour("--rule");
    ink.lineWidth = 1;
    ink.textAlign = "right";
    for (const value of marks(low, high, 4)) {
      ink.beginPath();
      ink.moveTo(this.left, y(value));
      ink.lineTo(this.right, y(value));
      ink.stroke();
      ink.fillText(String(value), this.left - 6, y(value));
    }
    ink.textAlign = "center";
    for (const time of marks(from + begin, to + begin, 6)) ink.fillText(`${time} s`, x(time - begin), height - 8);

    ink.save();
    ink.beginPath();
    ink.rect(this.left, 0, this.right - this.left, height);
    ink.clip();
    this.drawPhones(ink, x, from, to, { heard, said, bottom, colour, font });
    ink.fillStyle = colour("--wave");
    if (sound) drawSound(ink, peaks, sound.peak_rate, from, to, x, heard / 2, heard / 2 - 2);
    for (const line of lines.filter((line) => line.filled)) this.drawLine(ink, line, takes[0], x, y, from, to, true);
    takes.forEach((take, index) => {
      ink.setLineDash(STROKES[index]);
      ink.lineWidth = index ? 1.5 : 1.9;
      for (const line of lines) this.drawLine(ink, line, take, x, y, from, to, false);
    });
    ink.setLineDash([]);
    ink.restore();

    for (const [time, style] of [[hovered, "--soft"], [now, "--ink"]]) {
      if (time === null) continue;
      ink.fillStyle = colour(style);
      ink.fillRect(x(time) - 0.75, 0, 1.5, bottom);
    }
  }

  drawPhones(ink, x, from, to, { heard, said, bottom, colour, font }) {
    const seen = this.view.phones.filter(([, start, end]) => end > from && start < to);
    const tight = x(0.035) - x(0) < 3.4;
    for (const [symbol, start, end, closes] of seen) {
      ink.fillStyle = colour("--lips");
      ink.globalAlpha = 0.16;
      if (closes) ink.fillRect(x(start), 0, x(end) - x(start), bottom);
      ink.globalAlpha = 1;
      if (tight && !closes) continue;
      ink.font = `${closes ? "700 " : ""}${font(12)}`;
      ink.fillStyle = colour(closes ? "--ink" : "--soft");
      ink.fillText(symbol, x((start + end) / 2), heard + said / 2);
    }
  }

  drawLine(ink, line, take, x, y, from, to, filled) {
    if (!take.has(line.terms)) return;
    const values = take.line(line.terms);
    const first = clamp(Math.floor((from - take.start) * take.rate) - 1, 0, take.frames - 1);
    const last = clamp(Math.ceil((to - take.start) * take.rate) + 1, 0, take.frames - 1);
    const time = (frame) => take.start + frame / take.rate;
    ink.beginPath();
    for (let frame = first; frame <= last; frame++) ink.lineTo(x(time(frame)), y(values[frame]));
    if (filled) {
      ink.lineTo(x(time(last)), y(0));
      ink.lineTo(x(time(first)), y(0));
      ink.globalAlpha = 0.18;
      ink.fillStyle = line.colour;
      ink.fill();
      ink.globalAlpha = 1;
    } else {
      ink.strokeStyle = line.colour;
      ink.lineJoin = "round";
      ink.stroke();
    }
  }
}

/** Round numbers between two, about `count` of them. */
function marks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9; k++) found.push(+(k * step).toFixed(6));
  return found;
}
