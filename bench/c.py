"""What the C target costs beside LiteRT, in one run: time of a window and of a hop, and code.

    phiz compile phiz:tiny --calibrate 'speech/*.wav' -t tflite -t c --stream -o build/c
    python -m bench.c build/c

Each source is compiled with a small program around it, once for every choice of flags in ``FLAGS``, and the programs
and LiteRT (XNNPACK, one thread, its inputs and outputs in place) are called in turn. Printed: the least of many rounds
in microseconds, for whatever else a machine does only adds to it, and its ratio to LiteRT's; and the bytes of machine
code without constants. Memory is measured by ``phiz audit build/c --measure``.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from bench.stream import litert, timed
from targets.c.dissect import companion
from targets.c.interface import Port
from targets.c.run import compiler, read
from targets.c.source import identifier

ROUNDS, SLICE = 150, 1_000  # microseconds of a slice
FLAGS = {
    "portable, -O2": ("-O2", "-DPHIZ_PORTABLE"),
    "portable, -O3": ("-O3", "-DPHIZ_PORTABLE"),
    "plain C, -O2": ("-O2", "-DPHIZ_PORTABLE", "-DPHIZ_SCALAR"),
    "SSE4.1": ("-O2", "-msse4.1"),
    "AVX2": ("-O2", "-mavx2"),
    "native": ("-O3", "-march=native"),
}
_MAIN = """\
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "{header}"
static {memory} memory;
{arrays}
static double now(void) {{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}}
int main(void) {{
    char line[64];
    {map}
    {reset}
    while (fgets(line, sizeof line, stdin)) {{ /* a number of calls */
        const int count = atoi(line);
        const double start = now();
        for (int i = 0; i < count; ++i) {call}
        printf("%.3f\\n", (now() - start) / count);
        fflush(stdout);
    }}
    return 0;
}}
"""

_MAP = 'const void *const weights = mmap(0, {size}, PROT_READ, MAP_PRIVATE, open("{path}", O_RDONLY), 0);'


class Program:
    """A compiled source that times itself.

    Attributes:
        code: bytes of machine code of the source, without constants.
    """

    def __init__(self, path: Path, flags: Sequence[str], folder: Path) -> None:
        _, found = read(path)
        word, ports = identifier(path.stem), found.ports
        mapped = path.with_suffix(".bin") if found.weights else None
        (folder / "main.c").write_text(_main(word, companion(path.name), ports, found.streams, mapped))
        common = [*compiler(), "-std=gnu99", *flags, f"-I{path.parent}"]
        _done([*common, "-c", str(path), "-o", str(folder / "student.o")])
        _done([*common, str(folder / "main.c"), str(folder / "student.o"), "-lm", "-o", str(folder / "program")])
        sizes = _done(["size", "-A", str(folder / "student.o")])
        self.code = sum(int(size) for size in re.findall(r"^\.text\S*\s+(\d+)", sizes, re.M))
        self._process = subprocess.Popen(
            [str(folder / "program")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, calls: int) -> float:
        """Microseconds of a call, averaged over so many."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{calls}\n")
            self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        return self._process.stdout.readline() if self._process.stdout is not None else ""

    def end(self) -> None:
        """Let the process end."""
        self._process.communicate("")


def _main(word: str, header: str, ports: Sequence[Port], streams: bool, mapped: Path | None) -> str:
    given = [port for port in ports if port.kind != "state"]
    return _MAIN.format(
        header=header,
        memory=f"{word}_{'state' if streams else 'scratch'}",
        arrays="\n".join(f"static {port.ctype} io_{port.identifier}[{port.elements}];" for port in given),
        map=_MAP.format(size=f"{word.upper()}_WEIGHTS_BYTES", path=mapped.resolve()) if mapped else "",
        reset=f"{word}_reset(&memory);" if streams else "",
        call=f"{word}_{'push_hop' if streams else 'window'}(&memory, {'weights, ' if mapped else ''}"
        + ", ".join(f"io_{port.identifier}" for port in given)
        + ");",
    )


def _done(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def rows(source: Path) -> list[tuple[str, ...]]:
    """A row for LiteRT, where its file lies beside, and one for each choice of flags."""
    with TemporaryDirectory() as folder:
        programs = {}
        for number, (name, flags) in enumerate(FLAGS.items()):
            place = Path(folder, str(number))
            place.mkdir()
            programs[name] = Program(source, flags, place)
        other = source.with_suffix(".tflite")
        calls: dict[str, Callable[[], float]] = {}
        if other.is_file():
            invoke = litert(other)
            calls["LiteRT"] = lambda: timed(invoke)
        for name, program in programs.items():
            count = max(3, int(SLICE / program(20)))
            calls[name] = lambda each=program, count=count: each(count)
        rounds = [{name: call() for name, call in calls.items()} for _ in range(ROUNDS)]
        made = []
        for name in calls:
            time = min(each[name] for each in rounds)
            ratio = time / min(each.get("LiteRT", math.nan) for each in rounds)
            own = programs.get(name)
            made.append((source.name, name, f"{time:.1f}", f"{ratio:.2f}", f"{own.code:,}" if own else ""))
        for program in programs.values():
            program.end()
    return made


def main(arguments: Sequence[str]) -> None:
    """Time and print."""
    sources = [path for build in arguments for path in sorted(Path(build).glob("*.c"))]
    if not sources:
        sys.exit("usage: python -m bench.c BUILD [BUILD ...], folders that phiz compile --target c wrote")
    table = Table(box=None)
    for at, column in enumerate(("source", "by", "us", "x LiteRT", "code")):
        table.add_column(column, justify="left" if at < 2 else "right", no_wrap=True)
    for source in sources:
        for row in rows(source):
            table.add_row(*row)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
