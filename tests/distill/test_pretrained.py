"""Students that ship: their names, and what each of their folders holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import pretrained
from distill.students import folder as students
from targets.face import Face

LARGEST = 700_000  # bytes of a tiny student's weights


def test_names_are_those_on_the_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "__file__", str(tmp_path / "__init__.py"))
    for name in ("tiny", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "tiny" / "student.json").write_text("{}")
    assert pretrained.names() == ("tiny",)
    assert pretrained.locate("phiz:tiny") == pretrained.locate(Path("phiz:tiny")) == tmp_path / "tiny"
    assert pretrained.locate("tiny") == Path("tiny")
    assert pretrained.locate(tmp_path) == tmp_path
    for name in ("phiz:other", "phiz:", "phiz:../tiny", "phiz:tiny/", "phiz:/etc"):
        with pytest.raises(UserError, match="no such student ships with phiz; there are: phiz:tiny"):
            pretrained.locate(name)


@pytest.mark.parametrize("name", pretrained.names())
def test_what_ships(name: str) -> None:
    torch = pytest.importorskip("torch")
    from safetensors import safe_open

    from compile.audit.folder import Folder, names_of
    from targets.catalogue import by_suffix

    folder = pretrained.folder(name)
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "student.json",
        "student.onnx",
        "student.safetensors",
    }
    with safe_open(folder / students.WEIGHTS, framework="pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118 (no dict)
    if name.startswith("tiny"):
        assert (folder / students.WEIGHTS).stat().st_size <= LARGEST
    student, _, metadata = students.load(folder)
    path = folder / pretrained.ARTEFACT
    artefact = by_suffix(path)
    files = Folder(folder, names_of(folder, path.name))
    assert Face.from_metadata(artefact.dissect(files).metadata, name) == Face.from_metadata(metadata, name)
    runner = artefact.load(path)
    windows = np.random.default_rng(0).normal(0, 0.05, (4, student.architecture.window)).astype(np.float32)
    (key,) = runner.inputs
    theirs = [next(iter(runner.run({key: window.reshape(runner.inputs[key])}).values())).ravel() for window in windows]
    with torch.no_grad():
        ours = student(torch.from_numpy(windows)).numpy()
    # they are the same student: int8 at 20 dB or more leaves a tenth
    assert np.abs(np.stack(theirs) - ours).max() < 0.1
    card = (folder / pretrained.CARD).read_text(encoding="utf-8")
    assert card.startswith(f"# phiz:{name}\n")
    assert f"{(folder / students.WEIGHTS).stat().st_size:,} bytes" in card
    assert f"{path.stat().st_size:,} bytes" in card
    assert "Not measured." not in card
    assert "Not said." not in card
