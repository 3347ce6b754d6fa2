"""The README's commands are the ones that are run."""

from __future__ import annotations

import re
from pathlib import Path

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
    for command in ("demo", "label", "distill", "compile", "audit", "bake", "doctor"):
        assert f"phiz {command}" in README
