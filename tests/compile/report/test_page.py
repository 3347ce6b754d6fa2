"""``phiz compile --report``: one page that holds what the build folder says, and asks nobody for anything."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from compile import capture
from compile.cli import main
from compile.report.spoken import laid_over

FACE = {"sample_rate": 8000, "frame_rate": 50.0, "window": 512, "look_ahead_ms": 20.0, "controls": '["<b>jaw</b>"]'}
STEP = 160  # samples from one frame to the next


@pytest.fixture
def face(tiny_path: Path, tmp_path: Path) -> Path:
    """The tiny network as one whose first output is a control with a name that would be markup."""
    model = onnx.load(tiny_path)
    (output,) = model.graph.output
    size = output.type.tensor_type.shape.dim[1].dim_value
    names = json.dumps([f"<b>control {index}</b>" for index in range(size)])
    for key, value in (FACE | {"controls": names}).items():
        model.metadata_props.add(key=f"phiz.{key}", value=str(value))
    onnx.save(model, tmp_path / "face.onnx")
    return tmp_path / "face.onnx"


def compiled(folder: Path, *arguments: object) -> Path:
    words = ["phiz", "compile", *map(str, arguments), "--report", "-o", str(folder)]
    before, sys.argv = sys.argv, words
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = before
    assert stop.value.code in (0, 1, None)
    return (folder if folder.exists() else folder.with_name(f"{folder.name}.rejected")) / "report.html"


class Reader(HTMLParser):
    """What a page shows, and every address in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.paths: dict[str, str] = {}
        self.addresses: list[str] = []
        self._at: list[str] = []
        self._path = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "poster")]
        self._at.append(tag)
        if tag == "path":
            self._path = given["d"] or ""

    def handle_data(self, data: str) -> None:
        if self._at and self._at[-1] == "title" and self._path:
            self.paths.setdefault(data, self._path)  # of the first box
            self._path = ""
        elif self._at and self._at[-1] not in ("script", "style"):
            self.shown.append(data)


def speech(folder: Path) -> Path:
    """One clip of noise that is loud in its last third, which judges."""
    from distill.audio import write_wav

    random = np.random.default_rng(3)
    loud = np.repeat([0.05, 0.05, 0.3], 8000)
    write_wav(folder / "speech.wav", (random.normal(size=len(loud)) * loud).astype(np.float32), 8000)
    return folder / "speech.wav"


def test_everything_of_the_folder(face: Path, tmp_path: Path) -> None:
    path = compiled(
        tmp_path / "out", face, "-t", "onnx", "-t", "tflite", "--calibrate", speech(tmp_path), "--cap", "1MB"
    )
    page = Reader(path.read_text("utf-8"))
    shown = " ".join(page.shown)
    manifest = json.loads((path.parent / "manifest.json").read_text())
    for target, parity in manifest["parity"].items():
        assert target in shown
        assert f"{parity['sqnr_db']:.1f} dB" in shown
        for steps in ("steps_from", "usual_steps_from"):
            assert all(f"{distance:.2f}" in shown for distance in parity[steps].values())
    for artifact in manifest["artifacts"].values():
        assert all(file["sha256"] in shown for file in artifact["files"].values())
    assert manifest["versions"]["onnxruntime"] in shown
    assert {"conv1", "conv3", "gemm8"} <= set(shown.split())  # layers with weights; what only moves values has no error
    assert "Pass" in shown
    assert "<b>control 0</b>" in shown  # as text
    assert all(address.startswith("#") for address in page.addresses)
    assert not (path.parent / "errors.json").exists()  # nobody asked for it


def test_curves_are_those_of_the_float_model(face: Path, tmp_path: Path) -> None:
    """What is drawn in black, read back from the page, is what onnxruntime says of the captured network."""
    audio = speech(tmp_path)
    page = Reader(compiled(tmp_path / "out", face, "-t", "onnx", "--calibrate", audio).read_text("utf-8"))
    from distill.audio import decode

    judged = decode(audio, 8000)[16_000:]  # the last third
    session = onnxruntime.InferenceSession(str(face))
    heard = np.concatenate([np.zeros(512 - 160, np.float32), judged, np.zeros(160, np.float32)])
    windows = [heard[at : at + 512] for at in range(0, len(judged) - STEP + 1, STEP)]
    (name,) = (value.name for value in session.get_inputs())
    said = np.stack([session.run(None, {name: window.reshape(1, -1)})[0].reshape(-1) for window in windows])
    line = said[:, np.argmax(said.std(axis=0))]
    heights = np.array([float(point.split()[1]) for point in page.paths["float"].removeprefix("M").split("L")])
    drawn = 1 - heights / 1000
    unit = (line - line.min()) / (line.max() - line.min())
    again = (drawn - drawn.min()) / (drawn.max() - drawn.min())
    assert len(drawn) == len(line)
    np.testing.assert_allclose(again, unit, atol=2 / 1000 / (drawn.max() - drawn.min()))  # a unit of the drawing
    assert set(page.paths) >= {"float", "onnx"}


def test_the_same_build_gives_the_same_page(face: Path, tmp_path: Path) -> None:
    audio = speech(tmp_path)
    pages = [compiled(tmp_path / name, face, "-t", "onnx", "--calibrate", audio).read_bytes() for name in ("a", "b")]
    assert pages[0] == pages[1]


def test_without_speech_and_rejected(tiny_path: Path, tmp_path: Path) -> None:
    """A network that is no face, on noise, over its budget: the page says so, too."""
    path = compiled(tmp_path / "out", tiny_path, "-t", "onnx", "-t", "coreml", "--stream", "--cap", "2kB")
    assert path.parent.name == "out.rejected"
    shown = " ".join(Reader(path.read_text("utf-8")).shown)
    assert "Fail" in shown
    assert "exceeds the cap" in shown
    assert "noise that calibration never saw" in shown
    assert "no figure of quality below is to be trusted" in shown


def test_what_came_as_one_batch_is_one_line(tiny_path: Path) -> None:
    """Two calls of a batch of 2 are four steps of each channel, in their order."""
    captured = capture.from_onnx(tiny_path)
    (port,) = captured.inputs
    values = np.arange(12, dtype=np.float32).reshape(6, port.shape[0], 2)
    one = laid_over(captured, {"y": values}, {"onnx": {"y": values + 1}}, ())
    assert one.names == ("y 0", "y 1")
    assert one.lines["onnx"].tolist() == (values.reshape(-1, 2) + 1).tolist()
    batched = replace(captured, ir=captured.clone().ir)
    batched.ir.graph.inputs[0].shape = ir.Shape([2, *port.shape[1:]])
    two = laid_over(batched, {"y": values.reshape(3, 2, 2)}, {}, ())
    assert two.names == ("y 0", "y 1")
    assert two.lines["float"].tolist() == values.reshape(-1, 2).tolist()


def test_in_a_browser(face: Path, tmp_path: Path, tab) -> None:
    """It asks for nothing, complains of nothing, and is no wider than the screen."""
    path = compiled(tmp_path / "out", face, "-t", "onnx", "-t", "tflite", "--calibrate", speech(tmp_path))
    for width in (1280, 400):
        tab.open(path, width=width)
        assert tab.complaints == []
        assert tab.requests == [path.as_uri()]
        assert tab.ask("document.documentElement.scrollWidth") <= width
        assert tab.ask("document.querySelectorAll('.example path[d]').length") > 6
        assert tab.ask("document.querySelector('.example svg').getBoundingClientRect().width") > 100
