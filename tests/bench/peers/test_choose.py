from __future__ import annotations

from pathlib import Path

import pytest

from bench.peers import catalogue, command
from bench.peers.lines import needed
from compile.errors import UserError

HERE = Path(command.__file__).parent


def names(chosen: list[tuple[str, tuple[catalogue.Peer, ...]]]) -> set[str]:
    return {f"{peer.name}/{subject}" for subject, peers in chosen for peer in peers}


def test_patterns_choose_peers_and_subjects() -> None:
    assert names(command.choose(["ort-u8/tiny"])) == {"ort-u8/tiny"}
    assert names(command.choose(["ort-u8"])) == {f"ort-u8/{subject}" for subject in command.SUBJECTS}
    assert {name.partition("/")[0] for name in names(command.choose(["ort-*/tiny"]))} >= {"ort-u8", "ort-tuned"}
    assert len(command.choose(["/tiny"])[0][1]) == len(catalogue.PEERS)


def test_what_fits_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="nothing is called 'nobody'"):
        command.choose(["nobody"])


def test_quick_is_a_part() -> None:
    assert names(command.choose([], quick=True)) < names(command.choose([]))


@pytest.mark.parametrize("peer", [*catalogue.PEERS, catalogue.STREAM], ids=lambda peer: peer.name)
def test_every_peer_has_what_it_names(peer: catalogue.Peer) -> None:
    file, _, function = peer.builder.partition(":")
    assert 0 < needed((HERE / "builders" / f"{file}.py").read_text(), function) < 60
    assert peer.room in catalogue.ROOMS
    for runtime in peer.makes.values():
        assert (HERE / "runtimes" / f"{runtime}.py").is_file()
        assert catalogue.RUNTIMES[runtime].room in (None, *catalogue.ROOMS)


def test_versions_are_pinned() -> None:
    for wanted in catalogue.ROOMS.values():
        assert all("==" in one for one in wanted if catalogue.HERE not in one)
