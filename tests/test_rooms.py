"""Who may know whom (docs/architecture.md), and what the command line may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("compile", "targets", "distill")
HEAVY = ("torch", "transformers", "coremltools", "onnxsim", "ai_edge_litert", "tensorflow", "jax", "matplotlib", "av")
HEAVY += ("hama",)

# Leaves that import nothing of phiz but each other and may be used from everywhere.
LEAVES = ("compile.errors", "compile.factory", "compile.files", "compile.quiet", "compile.tables")
# Room -> the modules of phiz that it may import besides itself and the leaves.
ALLOWED = {
    "compile.simplify": ("compile.model", "compile.units"),
    "compile.quantize": ("compile.model", "targets"),
    "compile.capture": ("compile.constants", "compile.model", "compile.trial"),
    "compile.memory": ("compile.placement", "targets.base"),
    "compile.placement": ("targets.base",),
    "compile.audit": ("compile.memory", "compile.units", "targets"),
    "compile.cli": ("compile", "targets", "distill"),
    "compile": ("compile", "targets"),
    "targets": ("compile.model",),
    "targets.c": ("compile.model", "compile.memory", "targets"),  # a C source is placed by the auditor's own planner
    # Reports of speech look like reports of bytes.
    "distill.evaluate.render": (
        *("distill", "compile.units", "compile.audit.render.words"),
        *(f"compile.audit.render.page.{part}" for part in ("charts", "markup", "switch")),
    ),
    "distill.animation.view": ("distill", "compile.audit.render.words", "compile.audit.render.page.markup"),
    "distill": (),
}


def modules() -> list[tuple[str, Path]]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path) for path in found]


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] in PACKAGES}


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_rooms(module: str, path: Path) -> None:
    room = max((room for room in ALLOWED if within(module, room)), key=len)
    allowed = (room, *LEAVES, *ALLOWED[room]) if room != "compile" else ALLOWED["compile"]
    strangers = {name for name in imports(path) if not any(within(name, place) for place in allowed)}
    assert not strangers, f"{module} may not know {sorted(strangers)}"
    if room == "compile":  # only the command line knows both sides
        assert not any(within(name, "compile.cli") for name in imports(path))


def test_modules_stay_short() -> None:
    long = {module: lines for module, path in modules() if (lines := len(path.read_text().splitlines())) > 330}
    assert not long


@pytest.mark.parametrize("arguments", [["--help"], ["audit", "--help"], ["doctor"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nsys.argv = ['phiz', *sys.argv[1:]]\nfrom compile.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
