"""The README's commands are the ones that are run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_test_command() -> None:
    assert "pip install -e '.[all]' && phiz demo" in README
    command = "pip install -e '.[all,test]' && pytest"
    assert command in README
    assert command in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for document in documents:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_every_command_is_documented() -> None:
    for command in ("demo", "label", "distill", "evaluate", "compile", "audit", "diff", "init", "bake", "doctor"):
        assert f"phiz {command}" in README


def test_the_examples_are_what_phiz_reads() -> None:
    from compile.config import load

    settings = load(ROOT / "examples/phiz.toml")
    assert [build.name for build in settings.builds] == ["mobile", "desktop"]
    assert settings.builds[0].footprint == 3_400_000
    (budget,) = settings.budgets
    assert [limit.name for limit in budget.of_target("tflite")] == [
        *("file", "footprint", "growth of file", "metadata section", "unmapped section")
    ]
    assert [limit.most.bytes for limit in budget.of_target("tflite")[:2]] == [950_000, 3_400_000]


def test_the_example_network_compiles(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    command = [*("compile", "examples.factory:keyword_spotter"), *("-t", "onnx", "--cap", "500kB", "-o", str(tmp_path))]
    done = subprocess.run(
        [sys.executable, "-m", "compile.cli", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "not to be trusted" in done.stdout
