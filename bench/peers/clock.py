"""Runs a command and says what it took; a process of its own, so small that what it starts is not taken for it.

    python clock.py RESULT COMMAND …

A child's peak memory begins with what its parent had when it was forked: so whoever measures must be small. Only
Python's own library is imported. RESULT becomes ``{"seconds", "processor", "peak", "status"}``; processor time and the
peak, in bytes, are also those of the processes that it waited for.
"""

import json
import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    begun = time.perf_counter()
    status = subprocess.call(sys.argv[2:])
    seconds = time.perf_counter() - begun
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = {
        "seconds": seconds,
        "processor": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "status": status,
    }
    with open(sys.argv[1], "w", encoding="ascii") as file:
        json.dump(facts, file)
