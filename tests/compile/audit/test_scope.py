"""What budgets are about: globs, literal paths, what they cover, and where a report's paths start."""

from __future__ import annotations

from pathlib import Path

import pytest

from compile.audit.budget import Amount, Budget, Limit
from compile.audit.scope import Scope, common
from compile.errors import UserError

LIMITS = (Limit("file", Amount(1)),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two builds, three artefacts apart from them, one of them a package, and what cannot be audited."""
    for name in ("build/a/manifest.json", "build/a/s.onnx", "build/b/manifest.json", "build/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("models/x.onnx", "models/[1].onnx", "models/y.mlpackage/Data/model.mlmodel", "models/z.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def scope(folder: Path, *files: str) -> Scope:
    return Scope((Budget("b", LIMITS, files),), folder)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["build/*"], ["build/a", "build/b"]),
        (["build/**"], ["build/a", "build/b"]),  # what is in a build is audited with it
        (["**/*.onnx"], ["build/a/s.onnx", "models/[1].onnx", "models/x.onnx"]),
        (["models/*"], ["models/[1].onnx", "models/x.onnx", "models/y.mlpackage"]),
        (["models/**/*"], ["models/[1].onnx", "models/x.onnx", "models/y.mlpackage"]),
        (["models/[[]1].onnx"], ["models/[1].onnx"]),
        (["models/x.onnx", "models/*.onnx"], ["models/x.onnx", "models/[1].onnx"]),  # each once, in their order
        (["gone.onnx"], ["gone.onnx"]),  # a literal path may be missing: that is for the auditor to say
        (["build/../models/x.onnx", "./models/x.onnx"], ["build/../models/x.onnx"]),
        (["build/a/s.onnx", "build/a"], ["build/a"]),
    ],
)
def test_what_is_audited(folder: Path, files: list[str], found: list[str]) -> None:
    assert [path.relative_to(folder).as_posix() for path in scope(folder, *files).paths()] == found


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "it is not said what to audit"),
        (["models/*.tflite"], "'models/\\*.tflite' matches no build folder and no artefact"),
        (["build/*.txt"], "matches no build folder and no artefact"),
        (["x\0/*.onnx"], "zero byte"),
        ([""], "cannot be empty"),
    ],
)
def test_a_budget_that_names_nothing(folder: Path, files: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        scope(folder, *files).paths()


@pytest.mark.parametrize(
    ("files", "artefact", "covered"),
    [
        ([], "anything.onnx", True),
        (["build/a"], "build/a/s.onnx", True),
        (["build/*"], "build/a/s.onnx", True),
        (["build/a/s.onnx"], "build/a/s.onnx", True),
        (["build"], "build/b/s.onnx", True),  # a folder around, though it is no build
        (["build/b"], "build/a/s.onnx", False),
        (["models/x.onnx"], "models/x.onnx.onnx", False),
        (["models/*.tflite"], "models/x.onnx", False),
    ],
)
def test_what_a_budget_covers(folder: Path, files: list[str], artefact: str, covered: bool) -> None:
    assert bool(scope(folder, *files).of(folder / artefact)) is covered


def test_a_link_is_what_it_leads_to(folder: Path) -> None:
    (folder / "link.onnx").symlink_to(folder / "models/x.onnx")
    assert scope(folder, "models/x.onnx").of(folder / "link.onnx")
    assert len(scope(folder, "models/x.onnx", "link.onnx").paths()) == 1


def test_a_budget_without_limits_holds_for_nothing(folder: Path) -> None:
    assert Scope((Budget("b"),), folder).of(folder / "models/x.onnx") == ()


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["build/a", "build/b"], "build"),
        (["build/a", "models"], "."),
        (["a", "a"], "a"),
        ([".", "a"], "."),
        (["/x/a", "/x/b/c"], "/x"),
        (["../a/b", "../a/c"], "../a"),
    ],
)
def test_where_the_paths_of_a_report_start(paths: list[str], folder: str) -> None:
    assert common([Path(path) for path in paths]) == Path(folder)
