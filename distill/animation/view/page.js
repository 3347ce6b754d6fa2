// Everything together: what the user does, and what is drawn then.

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const takes = facts.takes.map((about, index) => new Take(about, `take-${index}`));
const peaks = facts.sound && Uint8Array.from(atob(facts.sound.peaks), (one) => one.charCodeAt(0));
const view = { ...facts, takes, peaks };

function openSound() {
  if (!facts.sound) return null;
  const sound = new Audio(URL.createObjectURL(new Blob([bytesOf("sound")], { type: facts.sound.type })));
  sound.preload = "auto";
  sound.preservesPitch = true;
  sound.addEventListener("error", () => {
    clock.mute();
    $("mute").disabled = true;
    $("mute").title = "This browser cannot play the sound of this page";
  });
  return sound;
}

const clock = new Clock(openSound(), facts.seconds);
const mesh = readMesh(facts.head);
const camera = new Camera(mesh);
const figures = [...document.querySelectorAll(".stage figure")];
const stages = figures.map((figure) => new Stage(figure.querySelector("canvas"), mesh, camera));
stages.forEach((stage, index) => {
  if (stage.gl) return;
  stage.canvas.hidden = true;
  figures[index].querySelector("p").hidden = false;
});
const score = new Score($("score"), view);
const rows = [...document.querySelectorAll("[data-line]")].map((box) => ({
  box,
  line: facts.lines[box.dataset.line],
  swatch: box.parentElement.querySelector("i"),
  values: [...box.closest("li").querySelectorAll("output")],
}));

/* Drawing: once a frame while something moves, else only when something has changed. */

let hovered = null; // the time below the pointer
let wanted = true;
let told = -1; // the time whose values are written
let interval = 1 / 60; // seconds between two pictures of the screen
let before = 0;
let late = 0; // pictures in a row that took long

const change = () => (wanted = true);
clock.onchange = change;

function frame(moment) {
  requestAnimationFrame(frame);
  const passed = (moment - before) / 1000;
  before = moment;
  if (passed > 0.004 && passed < 0.05) interval += 0.05 * (passed - interval);
  if (!clock.playing && !wanted) return;
  late = clock.playing && passed > 0.045 ? late + 1 : 0;
  if (late > 3) for (const stage of stages) stage.finely = false; // this machine would rather have fewer pixels
  wanted = false;
  draw(clock.now());
}

function draw(now) {
  // What is drawn now is seen one picture later, and that is when the sound will be heard to go with it.
  const seen = clock.playing ? clamp(now + interval * clock.rate, 0, facts.seconds) : now;
  stages.forEach((stage, index) => {
    if (!stage.gl) return;
    const take = takes[index];
    stage.move((name) => (take.columns.has(name) ? take.value({ [name]: 1 }, seen) : 0));
    stage.draw();
  });
  score.draw(now, hovered, shownLines());
  drawOverview($("overview"), view, now);
  write(now);
}

const shownLines = () => rows.filter((row) => row.box.checked).map((row) => row.line);

const clockTime = (time) => {
  const minutes = Math.floor(time / 60);
  return `${minutes}:${(time - 60 * minutes).toFixed(2).padStart(5, "0")}`;
};

/** Numbers: ten times a second are enough for whoever reads them. */
function write(now) {
  $("now").textContent = clockTime(now + facts.begin);
  const seek = $("seek");
  seek.value = now;
  seek.setAttribute("aria-valuetext", `${(now + facts.begin).toFixed(2)} seconds`);
  $("play").setAttribute("aria-label", clock.playing ? "Pause" : "Play");
  root.dataset.playing = clock.playing;
  root.dataset.time = (now + facts.begin).toFixed(3);
  const time = hovered ?? now;
  if (clock.playing && Math.abs(time - told) < 0.1) return;
  told = time;
  for (const { box, line, values } of rows) {
    values.forEach((value, index) => {
      const number = box.checked ? takes[index].value(line.terms, time) : undefined;
      value.textContent = number === undefined ? (box.checked ? "–" : "") : number.toFixed(2);
    });
  }
}

/* Colours are the page's, light or dark. */

function recolour() {
  for (const row of rows) {
    row.line.colour = getComputedStyle(row.swatch).color;
    row.line.filled = row.box.dataset.line === "0" && row.line.shown;
  }
  change();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
recolour();

/* The player. */

const toggle = () => (clock.playing ? clock.pause() : clock.play());
const jump = (by) => clock.seek(clock.now() + by);
const press = (button, on) => (button?.setAttribute("aria-pressed", on), on);
$("play").addEventListener("click", toggle);
$("loop").addEventListener("click", () => clock.setLoop(press($("loop"), !clock.loop)));
$("mute")?.addEventListener("click", () => clock.sound && (clock.sound.muted = press($("mute"), !clock.sound.muted)));
$("front").addEventListener("click", () => (camera.front(), change()));
$("speed").addEventListener("change", (event) => clock.setRate(+event.target.value));
$("seek").addEventListener("input", (event) => clock.seek(+event.target.value));
$("window").addEventListener("change", (event) => ((score.span = +event.target.value), change()));
$("total").textContent = ` / ${clockTime(facts.seconds + facts.begin)}`;
score.span = +$("window").value;
for (const { box } of rows) box.addEventListener("change", () => ((told = -1), change()));

const step = 1 / Math.max(...takes.map((take) => take.rate));
const KEYS = {
  " ": toggle,
  ArrowLeft: (event) => jump(event.shiftKey ? -0.1 : -1),
  ArrowRight: (event) => jump(event.shiftKey ? 0.1 : 1),
  ",": () => (clock.pause(), jump(-step)),
  ".": () => (clock.pause(), jump(step)),
  Home: () => clock.seek(0),
  End: () => clock.seek(facts.seconds),
  l: () => $("loop").click(),
  m: () => $("mute")?.click(),
  r: () => $("front").click(),
};
addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  const typing = event.target.closest?.("select, summary, a, button, input[type=checkbox]");
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing && (event.key === " " || typing.matches("select"))) return;
  event.preventDefault();
  act(event);
});

/* The curves: pointing tells, dragging seeks. */

const pointed = (event) => score.timeAt(event.clientX - score.canvas.getBoundingClientRect().left);
score.canvas.addEventListener("pointermove", (event) => {
  const time = pointed(event);
  if (event.buttons) clock.seek(time);
  hovered = event.buttons || event.pointerType === "touch" ? null : time;
  told = -1;
  change();
});
score.canvas.addEventListener("pointerdown", (event) => {
  score.canvas.setPointerCapture(event.pointerId);
  clock.seek(pointed(event));
});
score.canvas.addEventListener("pointerleave", () => ((hovered = null), (told = -1), change()));

/* The camera: one finger turns, two come nearer; the wheel does so once a head was clicked. */

const fingers = new Map();
for (const { canvas } of stages) {
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const apart = () => {
      const [one, other] = [...fingers.values()];
      return other && Math.hypot(one[0] - other[0], one[1] - other[1]);
    };
    const distance = apart();
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (distance) camera.approach(apart() / distance);
    else camera.turn((last[0] - event.clientX) * 0.008, (event.clientY - last[1]) * 0.006);
    change();
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("dblclick", () => (camera.front(), change()));
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (document.activeElement !== canvas) return; // the page scrolls
      event.preventDefault();
      camera.approach(Math.exp(-event.deltaY * 0.0015));
      change();
    },
    { passive: false },
  );
}

/* Addresses: #t=1.25 is a moment. */

function follow(hash) {
  const asked = /^#t=(\d+(?:\.\d+)?)$/.exec(hash);
  if (asked) clock.seek(+asked[1] - facts.begin);
}
addEventListener("hashchange", () => follow(location.hash));
addEventListener("click", (event) => follow(event.target.closest("a")?.hash ?? "")); // also a second time
new ResizeObserver(change).observe($("score"));
for (const { canvas } of stages) new ResizeObserver(change).observe(canvas);
follow(location.hash);
draw(clock.now());
root.dataset.webgl = stages.every((stage) => stage.gl);
root.dataset.state = "ready";
requestAnimationFrame(frame);
