"""What was measured, by what it was measured of: a run that was killed goes on, and nothing is measured twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compile.files import write_atomically

Facts = Mapping[str, Any]


@dataclass
class Store:
    """A folder of results.

    Attributes:
        folder: with a folder for each step.
        again: steps to perform anew, once in this run, whatever is there.
    """

    folder: Path
    again: frozenset[str] = frozenset()
    _done: set[str] = field(default_factory=set)

    def once(self, step: str, of: Facts, perform: Callable[[str], Facts]) -> dict[str, Any]:
        """The result of ``step`` for what ``of`` says; ``perform`` gets the key, and is called where there is none.

        ``of`` is JSON, and so is what ``perform`` returns. What raises is not kept.
        """
        key = key_of(of)
        path = self.folder / step / f"{key}.json"
        stale = step in self.again and f"{step}/{key}" not in self._done
        if not stale and (kept := _read(path)) is not None:
            return kept
        result = dict(perform(key))
        write_atomically(path, (json.dumps({"of": of, "result": result}, indent=1) + "\n").encode())
        self._done.add(f"{step}/{key}")
        return result


def key_of(of: Facts) -> str:
    """Sixteen hexadecimal digits; the order of keys makes no difference."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))["result"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if isinstance(result, dict) else None
