"""phiz beside what a user would pick instead: the same networks, the same speech, one run.

    python -m bench                         # everything; docs/benchmarks.md and its pictures are written anew
    python -m bench --quick                 # a few peers, one network
    python -m bench --only 'ort-*/tiny'     # some peers, some networks; either side may be left out
    python -m bench --again time            # one step anew: build, judge, memory or time

Every peer gets a virtual environment of its own. Everything is kept in ``--folder`` by what it was made of: a run that
was stopped goes on, one that is finished has nothing left to do. Peers that cannot be installed, or fail, are rows of
the tables and say why.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from bench.peers.catalogue import PEERS, Peer
from bench.peers.contest import STEPS, Contest, Manner
from bench.peers.report import write
from bench.peers.subjects import QUICK, SUBJECTS
from compile.errors import UserError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
FOLDER = ROOT / "bench" / ".peers"
WHOLE = Manner(builds=2, sentences=60, rounds=60)
BRIEF = Manner(builds=1, sentences=12, rounds=15)


def main(arguments: Sequence[str]) -> None:
    """Do what was asked for, then write the page and its pictures.

    Raises:
        UserError: nothing is called what ``--only`` names.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description="phiz beside its peers.")
    parser.add_argument("--only", action="append", metavar="PEER/SUBJECT", help="with * and ?; may repeat")
    parser.add_argument("--quick", action="store_true", help="a few peers, one network, few repetitions")
    parser.add_argument("--again", action="append", choices=STEPS, help="do this step anew; may repeat")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of everything that is made; default: bench/.peers")
    parser.add_argument("--page", type=Path, help="default: docs/benchmarks.md, of a part benchmarks.md in the folder")
    given = parser.parse_args(arguments)
    chosen = choose(given.only or (), quick=given.quick)
    folder = given.folder.resolve()
    contest = Contest(folder, BRIEF if given.quick else WHOLE, frozenset(given.again or ()))
    results = contest.hold(chosen)
    part = given.quick or given.only
    page = given.page or (folder / PAGE.name if part else PAGE)
    write(results, page.resolve())
    print(f"wrote {page}, and {page.with_suffix('.json').name} beside it")


def choose(only: Sequence[str], quick: bool = False) -> list[tuple[str, tuple[Peer, ...]]]:
    """Subjects with their peers, in the order of the tables.

    Args:
        only: patterns ``PEER/SUBJECT``, of which either side may be empty; none: all.
        quick: the few that are quick, where there are no patterns.

    Raises:
        UserError: a pattern fits nothing.
    """
    pairs = [(peer, subject) for subject in SUBJECTS for peer in PEERS]
    if quick and not only:
        pairs = [(peer, subject) for peer, subject in pairs if peer.quick and subject in QUICK]
    kept = set()
    for pattern in only or ("/",):
        left, _, right = pattern.partition("/")
        fits = {(p.name, s) for p, s in pairs if fnmatch(p.name, left or "*") and fnmatch(s, right or "*")}
        if not fits:
            names = f"peers are {', '.join(peer.name for peer in PEERS)}; subjects are {', '.join(SUBJECTS)}"
            raise UserError(f"nothing is called '{pattern}'", where="--only", fix=names)
        kept |= fits
    chosen = [(s, tuple(peer for peer in PEERS if (peer.name, s) in kept)) for s in SUBJECTS]
    return [(subject, peers) for subject, peers in chosen if peers]
