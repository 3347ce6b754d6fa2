"""``python -m bench``: phiz beside its peers; ``python -m bench own``: its own costs. See docs/benchmarking.md."""

from __future__ import annotations

import sys

from bench.jobs import start

if __name__ == "__main__":
    if sys.argv[1:2] == ["own"]:
        from bench.own.command import main

        del sys.argv[1]
    else:
        from bench.peers.command import main
    start(main)
