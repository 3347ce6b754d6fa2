"""A wheel holds what an installation needs besides modules: students that ship, and what pages are made of."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="77")

ROOT = Path(__file__).parent.parent
STUDENT = ("README.md", "student.json", "student.onnx", "student.safetensors")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What is in a wheel of this checkout and one more student."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in ("compile", "distill", "targets"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    added = source / "distill" / "pretrained" / "one-more"
    added.mkdir()
    for name in (*STUDENT, "notes.txt"):
        (added / name).write_text(name)
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, wheels], cwd=source, check=True, capture_output=True)
    (wheel,) = wheels.glob("phiz-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_students_ship_as_they_are(names: set[str]) -> None:
    shelf = ROOT / "distill" / "pretrained"
    expected = {f"distill/pretrained/{path.parent.name}/{path.name}" for path in shelf.glob("*/*") if path.is_file()}
    expected = {name for name in expected if "__pycache__" not in name}
    assert expected <= names
    found = {name for name in names if name.startswith("distill/pretrained/one-more/")}
    assert found == {f"distill/pretrained/one-more/{name}" for name in STUDENT}


def test_every_module_every_style_and_the_head_are_there(names: set[str]) -> None:
    files = [path for package in ("compile", "distill", "targets") for path in (ROOT / package).rglob("*")]
    for path in files:
        if path.suffix in {".py", ".css", ".js", ".npz"}:
            assert path.relative_to(ROOT).as_posix() in names
    assert not [name for name in names if name.startswith(("tests", "bench", "examples"))]
