"""The module's sources are C++17 and name the engine's classes as our stand-ins declare them; no engine is at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
SOURCES = sorted((EXAMPLES / "unreal" / "PhizFace" / "Private").glob("*.cpp"))


@pytest.fixture
def game(student: Path, tmp_path: Path) -> Path:
    """A module folder as README.md says, and every engine header that it includes."""
    folder = tmp_path / "PhizFace"
    shutil.copytree(EXAMPLES / "unreal" / "PhizFace", folder)
    for file in (*student.glob("student.stream.[ch]"), *(EXAMPLES / "c").glob("face.[ch]")):
        shutil.copy(file, folder / "Private")
    own = {path.name for path in folder.rglob("*")}
    texts = [path.read_text() for path in folder.rglob("PhizFace*.*")] + [
        (folder / "Private/PhizStudent.cpp").read_text()
    ]
    for name in {name for text in texts for name in re.findall(r'#include "([^"]+)"', text)} - own:
        (tmp_path / "engine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "engine" / name).write_text(f'#include "{HERE / "unreal" / "Engine.h"}"\n')
    return folder


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_sources_compile(game: Path, source: Path) -> None:
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    places = [f"-I{path}" for path in (game / "Public", game / "Private", game.parent / "engine")]
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only"]
    command = [compiler, *strict, *places, str(game / "Private" / source.name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_sources_are_there() -> None:
    assert [path.stem for path in SOURCES] == ["PhizFaceComponent", "PhizFaceModule", "PhizStudent"]
