"""Inside a runtime's virtual environment: loads artefacts with a file of ``runtimes/`` and does what it is told.

Orders come as lines of JSON on standard input, and each is answered by one on the real standard output; what libraries
print there goes to standard error. Imports nothing of phiz, only numpy and the runtime.

- ``{"do": "import"}``: the runtime itself, and the version it has.
- ``{"do": "load", "path": …}``: an artefact, for the orders after it; answers its number.
- ``{"do": "run", "number": …, "sound": NPZ, "out": NPY, "most": …}``: every window of ``audio`` that begins
  at one of ``starts``, or the first so many of them.
- ``{"do": "time", "number": …, "sound": NPZ, "calls": …}``: seconds of each call.
- ``{"do": "resident"}``: bytes now, and the most since the last time this was asked; Linux only, null elsewhere.
"""

import json
import os
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np


def resident():
    """Bytes of this process in memory: now, and the most since the last call."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # the peak begins anew
    except OSError:
        return None, None
    return tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def windows(sound):
    """The windows of a sound, views as the artefacts take them: [1, window]."""
    with np.load(sound, allow_pickle=False) as arrays:
        audio, starts, size = arrays["audio"], arrays["starts"], int(arrays["window"])
    return [audio[None, start : start + size] for start in starts]


class Server:
    """What is loaded, and the orders by name."""

    def __init__(self, runtime):
        self.runtime, self.loaded, self.heard = runtime, [], {}

    def do_import(self):
        """Import the runtime."""
        return {"version": self.runtime.version()}

    def do_load(self, path):
        """Load an artefact."""
        self.loaded.append(self.runtime.load(Path(path)))
        return {"number": len(self.loaded) - 1}

    def do_run(self, number, sound, out, most=None):
        """Write the outputs of all windows, or of the first ``most``."""
        call = self.loaded[number]
        np.save(out, np.stack([np.array(call(window), np.float32).reshape(-1) for window in windows(sound)[:most]]))
        return {}

    def do_time(self, number, sound, calls):
        """Time calls."""
        call = self.loaded[number]
        if sound not in self.heard:
            self.heard[sound] = [np.ascontiguousarray(window) for window in windows(sound)[:256]]
        given, seconds = self.heard[sound], []
        for index in range(calls + 2):  # the first two are warm-up: others have run meanwhile
            window = given[index % len(given)]
            begun = time.perf_counter()
            call(window)
            seconds.append(time.perf_counter() - begun)
        return {"seconds": seconds[2:]}

    def do_resident(self):
        """Read memory, and begin the peak anew."""
        now, most = resident()
        return {"now": now, "most": most}


def main(file):
    """Answer until nobody asks."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    spec = spec_from_file_location("runtime", file)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    server = Server(module)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(server, "do_" + order.pop("do"))(**order)
        except Exception as error:  # whatever the runtime raises is an answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its files must not hide anybody's modules
    main(sys.argv[1])
