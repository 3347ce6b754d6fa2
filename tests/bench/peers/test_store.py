from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.peers.store import Store


class Counted:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, key: str) -> dict[str, Any]:
        self.calls.append(key)
        return {"number": len(self.calls)}


def test_what_is_there_is_not_done_again_by_another_run(tmp_path: Path) -> None:
    perform = Counted()
    first = Store(tmp_path).once("build", {"a": 1, "b": [2]}, perform)
    second = Store(tmp_path).once("build", {"b": [2], "a": 1}, perform)
    assert first == second == {"number": 1}
    assert len(perform.calls) == 1


def test_other_facts_and_other_steps_are_others(tmp_path: Path) -> None:
    perform, store = Counted(), Store(tmp_path)
    for step, of in (("build", {"a": 1}), ("build", {"a": 2}), ("judge", {"a": 1})):
        store.once(step, of, perform)
    assert len(perform.calls) == 3


def test_again_means_once_more_in_this_run(tmp_path: Path) -> None:
    perform = Counted()
    Store(tmp_path).once("time", {}, perform)
    store = Store(tmp_path, frozenset({"time"}))
    assert [store.once("time", {}, perform)["number"] for _ in range(2)] == [2, 2]
    assert Store(tmp_path).once("time", {}, perform) == {"number": 2}


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    def fail(_: str) -> dict[str, Any]:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        Store(tmp_path).once("build", {}, fail)
    assert Store(tmp_path).once("build", {}, Counted()) == {"number": 1}


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"of": {}}', '{"result": 3}'])
def test_a_torn_result_is_no_result(tmp_path: Path, torn: str) -> None:
    store, perform = Store(tmp_path), Counted()
    store.once("build", {}, perform)
    (path,) = (tmp_path / "build").iterdir()
    path.write_text(torn)
    assert store.once("build", {}, perform) == {"number": 2}
