"""The face in WebAssembly: in Node the bits of the native build, and in Chromium a head that hears."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compile.errors import MissingTool, UserError
from examples.wasm.module import build

ROOT = Path(__file__).parents[2]
CLOSE = 1e-5  # as in test_c.py
PATIENCE = 60  # seconds for what takes a moment
Floats = NDArray[np.float32]
# The page's own class, with a number a line for each control of each frame, as JSON writes a double: exactly.
NODE = """
const [, , wasm, script, rate] = process.argv;
const fs = require("fs");
eval(fs.readFileSync(script, "utf8") + "; globalThis.Face = Face");
Face.open(fs.readFileSync(wasm)).then((face) => {
  const bytes = fs.readFileSync(0);
  const samples = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const begun = face.begin(+rate);
  const frames = [];
  for (let at = 0; at < samples.length; at += 5000) frames.push(...face.push(samples.subarray(at, at + 5000)));
  const values = frames.map((frame) => [...frame.values]);
  const times = frames.map((frame) => frame.time);
  console.log(JSON.stringify({ begun, values, times, names: face.names, latency: face.latency }));
});
"""


@pytest.fixture(scope="module")
def module(student: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        data = build(student)
    except MissingTool as missing:
        pytest.skip(str(missing))
    path = tmp_path_factory.mktemp("wasm") / "face.wasm"
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def page(module: Path, student: Path) -> Path:
    """As the command writes it."""
    path = module.with_name("face.html")
    command = [sys.executable, "-m", "examples.wasm", str(student), "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return path


def node(module: Path, audio: Floats, rate: int) -> dict[str, Any]:
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node is not installed")
    script = module.with_name("run.cjs")
    script.write_text(NODE)
    command = [found, str(script), str(module), str(ROOT / "examples" / "wasm" / "face.js"), str(rate)]
    done = subprocess.run(command, input=audio.astype("<f4").tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_bits_are_the_native_builds(
    module: Path, compiler: str, student: Path, frames: Callable[..., Floats], voice: Any, tmp_path: Path
) -> None:
    audio = voice(1.0)
    answer = node(module, audio / np.float32(32768), 16_000)
    assert answer["begun"]
    assert answer["names"] == ["jawOpen", "mouthClose", "mouthFunnel", "mouthSmileLeft"]
    assert answer["latency"] == pytest.approx(0.06)
    np.testing.assert_allclose(answer["times"], np.arange(len(answer["times"])) / 50)
    program = tmp_path / "native.c"
    program.write_text(NATIVE)
    speak = tmp_path / "native"
    places = ["-I", str(student), "-I", str(ROOT / "examples" / "c")]
    sources = [str(program), str(ROOT / "examples" / "c" / "face.c"), str(student / "student.stream.c")]
    subprocess.run([compiler, "-O2", *places, *sources, "-o", str(speak), "-lm"], check=True)
    data = (audio / np.float32(32768)).astype("<f4").tobytes()
    native = np.frombuffer(subprocess.run([speak], input=data, capture_output=True, check=True).stdout, "<f4")
    np.testing.assert_array_equal(np.array(answer["values"], np.float32).reshape(-1), native)
    expected = frames(student, audio, 16_000)[: len(answer["values"])]
    np.testing.assert_allclose(answer["values"], expected, atol=CLOSE)


NATIVE = """
#include <stdio.h>
#include "face.h"
static phiz_face face;
static float samples[16000], controls[PHIZ_FACE_CONTROLS];
int main(void) {
    int count = (int)fread(samples, sizeof(float), 16000, stdin);
    const float *from = samples;
    if (!phiz_face_begin(&face, 16000)) return 1;
    while (phiz_face_push(&face, &from, &count, 1, controls)) fwrite(controls, sizeof controls, 1, stdout);
    return 0;
}
"""


def test_other_rates(module: Path, student: Path, frames: Callable[..., Floats], voice: Any) -> None:
    audio = voice(0.5, 44_100)
    answer = node(module, audio / np.float32(32768), 44_100)
    expected = frames(student, audio, 44_100)[: len(answer["values"])]
    assert len(expected) > 15
    np.testing.assert_allclose(answer["values"], expected, atol=CLOSE)


def test_what_is_missing_is_said(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"holds no student\.stream\.c; write it: phiz compile"):
        build(tmp_path)
    monkeypatch.setenv("CLANG", "no-such-clang")
    with pytest.raises(MissingTool, match="no no-such-clang; install clang and lld"):
        build(student)


@pytest.fixture(scope="module")
def hearing(webgl: None, open_tab: Callable[..., Any], module: Path, voice: Any) -> Any:
    """Chromium whose microphone hears a file, again and again."""
    speech = module.with_name("speech.wav")
    with wave.open(str(speech), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(voice(3.0).astype("<i2").tobytes())
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    return open_tab(*fake, f"--use-file-for-fake-audio-capture={speech}")


def wait(tab: Any, condition: str) -> None:
    end = time.monotonic() + PATIENCE
    while not tab.ask(condition):
        assert time.monotonic() < end, f"it never came true: {condition}"
        time.sleep(0.05)


def shown(tab: Any) -> dict[str, str]:
    names = "['said', 'ahead', 'behind', 'cost', 'share', 'pictures']"
    return dict(tab.ask(f"{names}.map((id) => [id, document.getElementById(id).textContent])"))


OPEN = "[...document.querySelectorAll('.bars i')].some((bar) => +bar.style.getPropertyValue('--share') > 0.2)"


@pytest.mark.parametrize("source", ["microphone", "file"])
def test_the_head_hears(hearing: Any, page: Path, source: str) -> None:
    hearing.open(page, 500, height=400)
    wait(hearing, "document.documentElement.dataset.state === 'ready'")
    if source == "microphone":
        hearing.call("Runtime.evaluate", expression="document.getElementById('microphone').click()", userGesture=True)
    else:
        document = hearing.call("DOM.getDocument")["root"]["nodeId"]
        field = hearing.call("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
        hearing.call("DOM.setFileInputFiles", files=[str(page.with_name("speech.wav"))], nodeId=field)
        wait(hearing, "document.getElementById('said').textContent === 'speech.wav: click the page to let it sound'")
        for kind in ("mousePressed", "mouseReleased"):
            hearing.call("Input.dispatchMouseEvent", type=kind, x=9, y=9, button="left", clickCount=1)
    wait(hearing, "+document.documentElement.dataset.time > 0.3")
    wait(hearing, OPEN)
    wait(hearing, "document.getElementById('cost').textContent.endsWith('µs')")
    figures = shown(hearing)
    assert figures["said"] == {"microphone": "Microphone", "file": "speech.wav"}[source]
    assert figures["ahead"] in ("60 ms", "61 ms")  # 40 of look-ahead, a hop, and the resampler's millisecond
    assert (figures["behind"] == "0 ms") == (source == "file")
    hearing.ask("document.getElementById('stop').click(); 0")
    wait(hearing, f"!({OPEN})")
    entries = [one["params"].get("entry", {"text": str(one)}) for one in hearing.complaints]
    # The browser remarks that nothing was clicked, and that it draws without a graphics card.
    assert [
        entry for entry in entries if entry.get("source") != "rendering" and "AudioContext was not" not in entry["text"]
    ] == []
    assert {one for one in hearing.requests if not one.startswith("data:")} == {page.as_uri()}


def test_what_is_no_sound_is_said(hearing: Any, page: Path) -> None:
    hearing.open(page, 500, height=400)
    wait(hearing, "document.documentElement.dataset.state === 'ready'")
    document = hearing.call("DOM.getDocument")["root"]["nodeId"]
    field = hearing.call("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    hearing.call("DOM.setFileInputFiles", files=[str(page)], nodeId=field)
    wait(hearing, "document.getElementById('said').textContent.startsWith('face.html does not work: ')")


def test_equal_modules_make_equal_pages(page: Path, student: Path) -> None:
    before = page.read_bytes()
    other = page.with_name("other.html")
    command = [sys.executable, "-m", "examples.wasm", str(student), "-o", str(other)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert other.read_bytes() == before
    policy = before.decode().partition('Policy" content="')[2].partition('"')[0]
    assert "default-src &#x27;none&#x27;" in policy
    assert "unsafe-eval&#x27; data:" in policy
    assert "http" not in policy
