// Everything together: what the user does, and what is drawn then.

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
// Not blob: Chromium loads no worklet of a blob into a page that is a file.
const worklet = `data:text/javascript,${encodeURIComponent($("worklet").textContent)}`;
const mesh = readMesh(facts.head);
const stage = new Stage($("head"), mesh, new Camera(mesh));
const bars = [...document.querySelectorAll("[data-line]")].map((bar) => [bar, facts.lines[bar.dataset.line]]);
const face = await Face.open(bytesOf("wasm"));
let voice = null;
let asked = 0; // the last thing that was asked for wins

async function listen(open, what) {
  const number = ++asked;
  stop();
  say(what);
  let opened = null;
  try {
    opened = await open(() => number === asked && say(`${what}: click the page to let it sound`));
    if (number !== asked) return opened.close();
    say(what);
    opened.begin();
    voice = opened;
    $("stop").disabled = false;
  } catch (problem) {
    opened?.close();
    if (number === asked) say(`${what} does not work: ${problem.message || problem}`);
  }
}

function stop() {
  voice?.close();
  voice = null;
  $("stop").disabled = true;
  $("level").value = 0;
  say("");
}

const say = (text) => ($("said").textContent = text);
const play = (file) => file && listen((hint) => Recording.open(face, file, hint), file.name);
$("microphone").addEventListener("click", () => listen((hint) => Microphone.open(face, worklet, hint), "Microphone"));
$("file").addEventListener("change", (event) => (play(event.target.files[0]), (event.target.value = "")));
$("stop").addEventListener("click", () => (asked++, stop()));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => (event.preventDefault(), play(event.dataTransfer.files[0])));

/* Drawing. */

let before = performance.now();
let interval = 1 / 60; // seconds between two pictures
let told = 0;
let late = 0; // pictures in a row that took long
let wanted = true;

function draw(moment) {
  requestAnimationFrame(draw);
  const passed = clamp((moment - before) / 1000, 0, 1);
  before = moment;
  interval += 0.05 * (passed - interval);
  late = voice && passed > 0.045 ? late + 1 : 0;
  if (late > 3) stage.finely = false; // this machine would rather have fewer pixels
  if (voice?.over) stop();
  if (!voice && !wanted) return;
  wanted = Boolean(voice); // and once more when it has gone
  const time = voice ? voice.tick(passed) : 0;
  const weight = (name) => (voice ? voice.frames.value(name, time) : 0);
  if (stage.gl) {
    stage.move(weight);
    stage.draw();
  }
  for (const [bar, terms] of bars)
    bar.style.setProperty("--share", clamp(Object.keys(terms).reduce((sum, name) => sum + terms[name] * weight(name), 0), 0, 1));
  root.dataset.time = time.toFixed(3);
  if (voice && moment - told < 250) return; // whoever reads numbers wants no more
  told = moment;
  write();
}

function write() {
  const number = (id, text) => ($(id).textContent = text);
  $("level").value = voice?.level ?? 0;
  number("pictures", voice ? `${Math.round(1 / interval)}` : "–");
  number("cost", face.hops ? `${(1000 * face.cost).toFixed(0)} µs` : "–");
  number("share", face.hops ? `${((0.1 * face.cost) / face.hop).toFixed(1)} % of a core` : "");
  number("ahead", face.given ? `${(1000 * face.latency).toFixed(0)} ms` : "–");
  number("behind", voice instanceof Microphone ? `${(1000 * voice.behind).toFixed(0)} ms` : voice ? "0 ms" : "–");
}

new ResizeObserver(() => (wanted = true)).observe($("head"));
if (!stage.gl) [$("head").hidden, $("unseen").hidden] = [true, false];
requestAnimationFrame(draw);
root.dataset.state = "ready";
