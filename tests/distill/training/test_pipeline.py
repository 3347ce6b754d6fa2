"""A recipe from beginning to end, killed in the middle; and what TensorBoard is told."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compile.errors import MissingExtra, UserError
from distill.labels import cache as labels
from distill.students import folder as students
from distill.training import pipeline as perform
from distill.training import recipe
from distill.training.loop import Step, checkpoint_of

torch = pytest.importorskip("torch")

SMOKE = Path(__file__).parents[3] / "examples" / "recipes" / "smoke.toml"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smoke recipe where it may write, with its labels and students made, and events."""
    for package in ("espeakng_loader", "av", "hama"):
        pytest.importorskip(package)
    from distill.training.parallel import ALONE

    folder = tmp_path_factory.mktemp("smoke")
    path = folder / "smoke.toml"
    path.write_text('events = "runs"\n' + SMOKE.read_text())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    trained = perform.perform(recipe.read(path), ALONE, lambda *_: None)
    torch.set_num_threads(threads)
    assert [stage.name for stage in trained] == ["guide", "student"]
    return path


def quietly(path: Path) -> list[str]:
    """Perform a recipe; which stages were trained."""
    from distill.training.parallel import ALONE

    return [stage.name for stage in perform.perform(recipe.read(path), ALONE, lambda *_: None)]


def test_a_recipe_makes_everything(smoke: Path) -> None:
    made = labels.load(smoke.parent / "labels")
    assert len(made.entries) == 8
    assert 0 < len(made.split("held-out")) < 8
    facts = students.read_facts(smoke.parent / "students" / "student")
    assert facts["architecture"] == "tiny-low-latency"
    assert facts["training"]["held_out"].keys() == {"loss", "R2", "closure"}
    assert facts["training"]["alignment"] == "heard"
    assert quietly(smoke) == []  # all of it is there


def test_a_killed_run_resumes_bit_for_bit(smoke: Path, tmp_path: Path) -> None:
    shutil.copy(smoke, tmp_path / "recipe.toml")
    shutil.copytree(smoke.parent / "labels", tmp_path / "labels")
    shutil.copytree(smoke.parent / "students" / "guide", tmp_path / "students" / "guide")
    checkpoint = checkpoint_of(tmp_path / "students" / "student")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom distill.training import pipeline, recipe\n"
        "from distill.training.parallel import ALONE\nimport torch\ntorch.set_num_threads(1)\n"
        "def pause(stage, done, *_):\n    if stage == 'train student' and done == 5:\n        time.sleep(60)\n"
        "pipeline.perform(recipe.read(Path(sys.argv[1])), ALONE, pause)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "recipe.toml")], env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as process:
        late = time.monotonic() + 120
        while not checkpoint.is_file() or checkpoint_step(checkpoint) < 4:
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < late
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "students" / "student").exists()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert quietly(tmp_path / "recipe.toml") == ["student"]
    torch.set_num_threads(threads)
    whole, resumed = (
        (folder / "students" / "student" / "student.safetensors").read_bytes() for folder in (smoke.parent, tmp_path)
    )
    assert whole == resumed
    assert sorted(path.name for path in (tmp_path / "students").iterdir()) == ["guide", "student"]


def checkpoint_step(path: Path) -> int:
    import json

    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return int(json.loads(file.metadata()["at"])[0])


def test_what_is_missing_is_said_before_the_work(smoke: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('labels = [{folder = "labels", synthetic = 3}]\n[[stage]]\nguide = "nowhere"\n')
    with pytest.raises(UserError, match="nowhere: not a student folder"):
        quietly(path)
    path.write_text('labels = [{folder = "labels", synthetic = 3}]\n[[stage]]\nrig = "nowhere.json"\n')
    with pytest.raises(UserError, match=r"nowhere\.json: cannot be read"):
        quietly(path)
    assert [item.name for item in tmp_path.iterdir()] == ["recipe.toml"]  # nothing was spoken or labelled


def test_events_are_what_tensorboard_reads(smoke: Path) -> None:
    pytest.importorskip("tensorboardX")
    (path,) = (smoke.parent / "runs" / "student").iterdir()
    told = scalars(path.read_bytes())
    facts = students.read_facts(smoke.parent / "students" / "student")["training"]
    assert told["loss/total", 6] == pytest.approx(facts["loss"], rel=1e-6)  # stored as float32
    parts = [value for (name, step), value in told.items() if name.startswith("loss/") and step == 6]
    assert sum(parts) == pytest.approx(2 * facts["loss"], rel=1e-5)  # the terms, and their sum
    for name, value in facts["held_out"].items():
        assert told[f"held-out/{name}", 6] == pytest.approx(value, rel=1e-6, abs=1e-9)
        assert (f"held-out/{name}", 3) in told
        assert (f"held-out/{name}", 4) not in told


def test_events_need_their_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from distill.training.tensorboard import Events

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingExtra, match=r"phiz\[tensorboard\]"):
        Events(tmp_path / "runs")


def test_events_that_cannot_be_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from distill.training.tensorboard import Events

    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match="runs: cannot write events"):
        Events(tmp_path / "runs")(Step(10, 10, 0.5, 1.0))


def scalars(data: bytes) -> dict[tuple[str, int], float]:
    """(name, step) to value, of an event file: records of length, checksum, protocol buffer, checksum (TFRecord)."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[tuple[str, int], float] = {}
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        at += length + 16
    return found
