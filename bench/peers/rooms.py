"""Virtual environments: one for each tool, with pinned versions, made once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers.catalogue import HERE, ROOMS
from compile.errors import UserError
from compile.files import write_atomically

ROOT = Path(__file__).parents[2]
SOURCES = ("compile", "distill", "targets", "pyproject.toml", "README.md", "LICENSE")
INSTALLED = "installed.json"
SECONDS = 3600.0  # for one installation


@dataclass(frozen=True)
class Room:
    """A virtual environment that is ready.

    Attributes:
        python: its interpreter.
        bytes: of what was installed, without Python's own pip and the like.
        versions: of all packages in it.
        digest: of phiz's own sources, where it holds phiz.
    """

    python: Path
    bytes: int
    versions: dict[str, str]
    digest: str = ""


def open_room(folder: Path, name: str) -> Room:
    """The room of a tool; it is made if it is not there, or holds other versions.

    Raises:
        UserError: pip cannot install it; says why.
    """
    wanted, place = ROOMS[name], folder / name
    digest = sources() if any(HERE in one for one in wanted) else ""
    facts = _facts(place)
    if facts is None or facts["wanted"] != [*wanted]:
        facts = _made(place, wanted, digest)
    elif facts["digest"] != digest:  # only phiz itself has changed
        _pip(place, ["install", "--quiet", "--no-deps", "--force-reinstall"], [one for one in wanted if HERE in one])
        facts = _described(place, wanted, digest)
    return Room(_python(place), facts["bytes"] - facts["empty"], facts["versions"], digest)


def sources() -> str:
    """A digest of what phiz is made of."""
    files = [path for name in SOURCES[:3] for path in (ROOT / name).rglob("*") if "__pycache__" not in path.parts]
    found = sorted(path for path in (*files, ROOT / "pyproject.toml") if path.is_file())
    text = "".join(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in found)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def size(folder: Path) -> int:
    """Bytes of all files; links count nothing."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _facts(place: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads((place / INSTALLED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def _made(place: Path, wanted: Sequence[str], digest: str) -> dict[str, Any]:
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place, with_pip=True)
    empty = size(place)
    write_atomically(place / "empty", str(empty).encode())
    try:
        _pip(place, ["install", "--quiet"], wanted)
    except UserError:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return _described(place, wanted, digest)


def _described(place: Path, wanted: Sequence[str], digest: str) -> dict[str, Any]:
    """Say what is in a room; with this file it is whole."""
    listed = _pip(place, ["list", "--format=json"], [])
    versions = {package["name"]: package["version"] for package in json.loads(listed)}
    facts: dict[str, Any] = {"wanted": [*wanted], "digest": digest, "versions": versions}
    facts |= {"empty": int((place / "empty").read_text()), "bytes": size(place)}
    write_atomically(place / INSTALLED, (json.dumps(facts, indent=1) + "\n").encode())
    return facts


def _pip(place: Path, command: Sequence[str], wanted: Sequence[str]) -> str:
    """What pip says."""
    with tempfile.TemporaryDirectory() as scratch:
        if any(HERE in one for one in wanted):
            _copy(Path(scratch))
        words = [one.replace(HERE, scratch) for one in wanted]
        line = [str(_python(place)), "-m", "pip", *command, "--disable-pip-version-check"]
        try:
            done = subprocess.run([*line, *words], capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UserError("pip did not finish in an hour", where=place.name) from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(f"pip: {(errors or [done.stderr.strip()[-200:]])[-1]}", where=place.name)
    return done.stdout


def _copy(folder: Path) -> None:
    """What phiz is built of; setuptools leaves things beside what it builds."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def _python(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
