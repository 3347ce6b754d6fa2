"""The same bits from every compiler, language, optimisation and instruction set; no warning, nothing undefined.

Bits are those of what plain C without optimisation gives, on plain and on hostile inputs.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compile.errors import UserError
from targets.c.run import load

WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
C99, CXX = ("-std=c99", "-fPIC", "-shared", *WARNINGS), ("-x", "c++", "-std=c++17", "-fPIC", "-shared", *WARNINGS)
X86 = platform.machine() in ("x86_64", "AMD64")
WINDOWS = ("-Dfar=", "-Dnear=", "-Dsmall=char", "-Dinterface=struct", "-DIN=", "-DOUT=")  # what windows.h defines
HERE = {"-msse4.1": "sse4_1", "-mavx2": "avx2", "-march=native": "avx2"}
VARIANTS = [
    *(("gcc", (*C99, level)) for level in ("-O0", "-O2", "-O3")),
    *(("clang", (*C99, level)) for level in ("-O0", "-O3")),
    ("g++", (*CXX, "-O2")),
    ("clang++", (*CXX, "-O1")),
    *(("gcc", (*C99, "-O2", flag, *WINDOWS)) for flag in HERE),
    ("gcc", (*C99, "-O2", "-march=native", "-DPHIZ_NO_512")),
    ("gcc", (*C99, "-O3", "-march=native", "-DPHIZ_PORTABLE")),
    *((name, (*C99, level, "-DPHIZ_PORTABLE")) for name, level in (("gcc", "-O2"), ("gcc", "-Os"), ("clang", "-O3"))),
    *((name, (*C99, "-O3", "-DPHIZ_PORTABLE", "-DPHIZ_SCALAR", *WINDOWS)) for name in ("gcc", "clang")),
    ("g++", (*CXX, "-O2", "-DPHIZ_PORTABLE", "-DPHIZ_SCALAR")),
    ("gcc", ("-std=gnu11", "-fPIC", "-shared", "-O3", "-march=native")),  # would contract products and sums
    ("clang", ("-std=gnu11", "-fPIC", "-shared", "-O3", "-march=native")),
]
# What a microphone should never give: no number, infinite, subnormal, full scale.
HOSTILE = (np.nan, np.inf, -np.inf, 1e-42, -1e-42, 3.4e38, -3.4e38, 1.0, -1.0)
MACHINES = {  # of other kinds, by Debian's cross-compilers under qemu-user
    "NEON": ("aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "NEON with dot products": ("aarch64-linux-gnu-gcc -march=armv8.2-a+dotprod", "qemu-aarch64"),
    "ARM, vectors of GNU C": ("aarch64-linux-gnu-gcc -DPHIZ_PORTABLE", "qemu-aarch64"),
    "ARM of 32 bits": ("arm-linux-gnueabihf-gcc -mfpu=neon-vfpv4", "qemu-arm"),
    "x86 of 32 bits": ("i686-linux-gnu-gcc -msse2 -mfpmath=sse", "qemu-i386"),
    "big-endian": ("s390x-linux-gnu-gcc", "qemu-s390x"),
    "big-endian, vectors of GNU C": ("s390x-linux-gnu-gcc -march=z13", "qemu-s390x"),
}
REFUSED = {  # flags that would change sums
    "-ffast-math": "compile without -ffast-math",
    "-funsafe-math-optimizations": "compile without -ffast-math, its parts",
    "-freciprocal-math": "compile without -ffast-math, its parts",
    "-ffinite-math-only": "compile without -ffinite-math-only",
    "-mfpmath=387": "floats would be computed with more bits: -msse2 -mfpmath=sse on x86",
}


def network(h: Any) -> str:
    """Every product in every scheme that the quantiser of the tests knows, with tails of 1 to 3 inputs and rows."""
    x = h.input(1, 3, 61)
    x = h.op("Relu", h.conv(x, 18, 3, (7,), strides=[2]))
    y = h.op("Tanh", h.conv(x, 18, 1, (3,), group=18, pads=[1, 1]))
    x = h.op("Add", x, y)
    x = h.conv(x, 38, 9, (3,), group=2, dilations=[2])
    x = h.op("LeakyRelu", x, alpha=0.1)
    x = h.op("Mul", x, h.op("Sigmoid", h.conv(x, 38, 38, (1,))))
    x = h.pool("AveragePool", x, (2,), pads=[1, 0])
    return h.gemm(h.reshape(x, 1, 38 * 12), 17, 456)


@pytest.fixture
def sources(hub: Any, quantize: Any, written: Callable[..., Path], tmp_path: Path) -> dict[str, tuple[Path, Any]]:
    """A source and its inputs, by scheme."""
    made = {}
    for scheme in ("float", "w8", "w8a8"):
        h = hub(1)
        model, feeds = h.model(network(h)), h.feeds()
        path = written(quantize(model, scheme, feeds))
        place = tmp_path / scheme
        place.mkdir()
        for file in (path, path.with_suffix(".h")):
            file.rename(place / file.name)
        random = np.random.default_rng(2)
        inputs = [feeds, {name: array * np.float32(1e-3) for name, array in feeds.items()}]
        for number in HOSTILE:
            (name, array), *_ = feeds.items()
            inputs.append({name: np.where(random.random(array.shape) < 0.1, np.float32(number), array)})
        made[scheme] = (place / path.name, inputs)
    return made


def answers(path: Path, flags: tuple[str, ...], inputs: Any) -> list[bytes]:
    """The bits of the outputs; one NaN is as good as another, for ISO C says no more."""
    runner = load(path, flags)
    found = [next(iter(runner.run(each).values())) for each in inputs]
    return [np.where(np.isnan(array), np.float32(np.nan), array).tobytes() for array in found]


def test_the_same_bits_everywhere(sources: Any, compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    abilities = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    tried = 0
    chosen = {"w8a8": VARIANTS, "float": VARIANTS[-1:], "w8": VARIANTS[1::3]}
    for scheme, (path, inputs) in sources.items():
        wanted = answers(path, ("-std=c99", "-O0", "-fPIC", "-shared", "-DPHIZ_PORTABLE", "-DPHIZ_SCALAR"), inputs)
        for name, flags in chosen[scheme]:
            needed = [ability for flag, ability in HERE.items() if flag in flags]
            if shutil.which(name) is None or (needed and (not X86 or needed[0] not in abilities)):
                continue
            monkeypatch.setenv("CC", name)
            assert answers(path, flags, inputs) == wanted, f"{scheme}: {name} {' '.join(flags)}"
            tried += 1
    assert tried >= 3


def test_hostile_inputs_leave_integers_in_their_range(sources: Any, compiler: str) -> None:
    path, inputs = sources["w8a8"]
    runner = load(path)
    limits = [np.concatenate([next(iter(runner.run(each).values())).ravel() for each in inputs])]
    assert np.isfinite(limits).all()


MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
int main(void) {{
    net_scratch *scratch = (net_scratch *)malloc(sizeof(net_scratch));
    float *given = (float *)malloc({inputs} * sizeof(float)), *made = (float *)malloc({outputs} * sizeof(float));
    while (fread(given, sizeof(float), {inputs}, stdin) == {inputs}) {{
        net_window(scratch, given, made);
        fwrite(made, sizeof(float), {outputs}, stdout);
    }}
    free(scratch), free(given), free(made);
    return 0;
}}
"""


def program(path: Path, inputs: Any, command: list[str]) -> Path:
    """A program that reads inputs and writes outputs, all of its memory exactly as large as it must be."""
    text = MAIN.format(inputs=next(iter(inputs[0].values())).size, outputs=17)
    path.with_name("main.c").write_text(text)
    made = path.with_name("program")
    done = subprocess.run(
        [*command, "-g", str(path), str(path.with_name("main.c")), "-o", str(made), "-lm"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made


def spoken(command: list[str], inputs: Any, dtype: str = "<f4") -> list[bytes]:
    """What a program answers whose floats lie in memory as ``dtype``."""
    given = b"".join(next(iter(each.values())).astype(dtype).tobytes() for each in inputs)
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert not done.stderr
    found = np.frombuffer(done.stdout, dtype).astype(np.float32).reshape(len(inputs), 17)
    return [np.where(np.isnan(array), np.float32(np.nan), array).tobytes() for array in found]


@pytest.mark.parametrize("flag", ["-DPHIZ_SCALAR", "-DPHIZ_PORTABLE", "-mavx2", "-march=native"])
def test_nothing_is_undefined(sources: Any, flag: str, compiler: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc with its sanitizers")
    if flag == "-mavx2" and not (X86 and "avx2" in Path("/proc/cpuinfo").read_text()):
        pytest.skip("this machine has no AVX2")
    checks = "-fsanitize=address,undefined,float-cast-overflow"
    for path, inputs in (sources["w8a8"], sources["w8"]):
        made = program(path, inputs, ["gcc", "-std=c99", flag, checks, "-fno-sanitize-recover=all"])
        assert spoken([str(made)], inputs) == answers(path, ("-O0", "-fPIC", "-shared"), inputs)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_same_bits_on_other_machines(sources: Any, machine: str, compiler: str) -> None:
    command, emulator = MACHINES[machine]
    if shutil.which(command.split()[0]) is None or shutil.which(emulator) is None:
        pytest.skip("there is no compiler for such a machine, or nothing that runs what it makes")
    for path, inputs in (sources["w8a8"], sources["w8"]):
        made = program(path, inputs, [*command.split(), "-static", "-O2"])
        found = spoken([emulator, str(made)], inputs, ">f4" if machine.startswith("big-endian") else "<f4")
        assert found == answers(path, ("-O0", "-fPIC", "-shared"), inputs)


@pytest.mark.parametrize("flag", REFUSED)
def test_arithmetic_that_is_not_ieee_is_refused(sources: Any, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("gcc") is None or (flag.startswith("-mfpmath") and not X86):
        pytest.skip("there is no gcc, or it knows no such flag")
    monkeypatch.setenv("CC", "gcc")
    with pytest.raises(UserError, match=re.escape(REFUSED[flag])):
        load(sources["float"][0], ("-std=c99", "-O2", "-fPIC", "-shared", flag))
