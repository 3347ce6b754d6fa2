from __future__ import annotations

from pathlib import Path

import pytest


def test_version_is_the_distributions(phiz):
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    declared = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["version"]
    ran = phiz("--version")
    assert (ran.code, ran.out.strip()) == (0, f"phiz {declared}")
