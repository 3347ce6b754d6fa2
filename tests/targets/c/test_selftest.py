"""What a self-test says of a source that is right, and of one that is not; without it the machine code is the same."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from compile.model import Model
from targets.base import Artifact, Examples
from targets.c.dissect import dissect
from targets.c.lower import lower
from targets.c.selftest import prove

WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
SANE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMPILERS = {
    "gcc": ("gcc", "-std=c99", "-O2"),
    "clang": ("clang", "-std=c99", "-O1"),
    "g++": ("g++", "-x", "c++", "-std=c++17", "-O1"),
    "clang++": ("clang++", "-x", "c++", "-std=c++17", "-O1"),
    "sanitizers": ("gcc", "-std=c99", "-O1", "-g", *SANE),
    "ARM": ("aarch64-linux-gnu-gcc", "-static", "-O1"),
    "big-endian": ("s390x-linux-gnu-gcc", "-static", "-O1"),
}
EMULATORS = {"aarch64-linux-gnu-gcc": ("qemu-aarch64",), "s390x-linux-gnu-gcc": ("qemu-s390x",)}
MAIN = """
#include <stdio.h>
#include "{name}.h"
static {word}_test test;
int main(void) {{
    const int said = {word}_self_test(&test);
    printf("%d %s %d %d %.9g %.9g %.9g", said, test.output, (int)test.example, (int)test.element, (double)test.got,
           (double)test.expected, (double)test.allowed);
    return 0;
}}
"""
COUNT, UNIT = 3, 2.0**-13


def network(h: Any) -> Any:
    """Two inputs, two outputs."""
    x = h.op("Relu", h.conv(h.input(1, 3, 20), 8, 3, (3,)))
    y = h.conv(h.input(1, 8, 18), 8, 8, (1,))
    return h.model(h.gemm(h.reshape(h.op("Add", x, y), 1, 144), 5, 144), h.op("Tanh", y))


@pytest.fixture
def made(hub: Any, quantize: Any, reference: Callable[..., Any], tmp_path: Path) -> tuple[Artifact, Examples]:
    """A source in int8 with examples, in ``tmp_path``; what to expect comes from onnxruntime."""
    h = hub(1)
    model = network(h)
    feeds = h.feeds()
    own = quantize(model, "w8a8", feeds)
    random = np.random.default_rng(0)
    numbers = {
        name: random.integers(-16000, 16000, (COUNT, *array.shape)).astype(np.int16) for name, array in feeds.items()
    }
    heard = [{name: array[at] * np.float32(UNIT) for name, array in numbers.items()} for at in range(COUNT)]
    answers = [reference(own, each) for each in heard]
    said = {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}
    steps = {name: 1.001 * float(np.diff(np.unique(array)).min()) for name, array in said.items()}
    examples = Examples(COUNT, numbers, dict.fromkeys(numbers, UNIT), said, steps)
    artifact = prove(lower(Model(ir.from_proto(own))), examples)
    write(artifact.files, tmp_path)
    return artifact, examples


def write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)


def told(folder: Path, command: tuple[str, ...]) -> list[str]:
    """What a program says that was made of ``net.c``."""
    emulator = EMULATORS.get(command[0], ())
    for needed in (command[0], *emulator):
        if shutil.which(needed) is None:
            pytest.skip(f"there is no {needed}")
    (folder / "main.c").write_text(MAIN.format(name="net", word="net"))
    program = folder / "program"
    sources = [str(folder / name) for name in ("net.c", "main.c")]
    last = ["-x", "none"] if "-x" in command else []
    done = subprocess.run(
        [*command, *WARNINGS, "-DNET_SELF_TEST", *sources, *last, "-lm", "-o", str(program)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([*emulator, str(program)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize("name", COMPILERS)
def test_a_source_that_is_right(made: Any, tmp_path: Path, name: str) -> None:
    said = told(tmp_path, COMPILERS[name])
    assert said[0] == "0"
    assert int(said[2]) == COUNT


@pytest.mark.parametrize(("example", "element"), [(0, 0), (1, 4), (2, 3)])
def test_the_first_answer_that_is_wrong_is_told(
    made: tuple[Artifact, Examples], compiler: str, tmp_path: Path, example: int, element: int
) -> None:
    """The examples expect three steps more of one number, and of the last one of all."""
    artifact, examples = made
    name = next(iter(examples.outputs))
    wrong = examples.outputs[name].copy()
    right = float(wrong[example, 0, element])
    wrong[example, 0, element] += 3 * examples.allowed[name]
    wrong[-1, 0, -1] += 3 * examples.allowed[name]
    changed = Examples(COUNT, examples.inputs, examples.units, {**examples.outputs, name: wrong}, examples.allowed)
    write(prove(artifact, changed).files, tmp_path)
    said = told(tmp_path, (compiler, "-std=c99"))
    assert said[:4] == ["1", name, str(example), str(element)]
    got, expected, allowed = map(float, said[4:])
    assert got == pytest.approx(right, abs=allowed)
    assert expected == pytest.approx(right + 3 * examples.allowed[name], rel=1e-6)
    assert allowed == pytest.approx(examples.allowed[name], rel=1e-6)


def test_a_weight_that_is_wrong(made: tuple[Artifact, Examples], compiler: str, tmp_path: Path) -> None:
    """Of the last layer, so that each number of its output feels it."""
    text = (tmp_path / "net.c").read_text()
    start = text.index("n5_weight[")
    line = text.index("\n    ", start) + 5
    numbers = text[line : text.index("\n", line)].split(",")
    text = text.replace(",".join(numbers), ",".join(str(-int(number)) if number else "" for number in numbers))
    (tmp_path / "net.c").write_text(text)
    assert told(tmp_path, (compiler, "-std=c99"))[0] == "1"


def test_what_is_no_number_never_passes(made: tuple[Artifact, Examples], compiler: str, tmp_path: Path) -> None:
    artifact, examples = made
    name = next(iter(examples.outputs))
    broken = examples.outputs[name].copy()
    broken[0, 0, 2:4] = np.nan, np.inf
    changed = Examples(COUNT, examples.inputs, examples.units, {**examples.outputs, name: broken}, examples.allowed)
    write(prove(artifact, changed).files, tmp_path)
    assert told(tmp_path, (compiler, "-std=c99"))[:4] == ["1", name, "0", "2"]


def test_nothing_of_it_is_in_a_program_that_did_not_ask(made: Any, compiler: str, tmp_path: Path) -> None:
    """The object file is, byte for byte, that of a source without a self-test; the examples are not even read."""
    text = (tmp_path / "net.c").read_text()
    (tmp_path / "net.golden.h").unlink()
    objects = []
    for source in (text, text[: text.index("#ifdef NET_SELF_TEST")]):
        (tmp_path / "net.c").write_text(source)
        subprocess.run([compiler, "-std=c99", "-O2", "-c", "net.c"], cwd=tmp_path, check=True)
        objects.append((tmp_path / "net.o").read_bytes())
    assert objects[0] == objects[1]


def test_ports_of_any_name(hub: Any, compiler: str, tmp_path: Path) -> None:
    """Names that differ in case only, and names that are parts of others."""
    h = hub(1)
    x = h.op("Relu", h.input(1, 4))
    model = h.model(h.op("Add", x, h.input(1, 4)), h.op("Concat", x, x, axis=1), h.op("Tanh", x))
    names = {"in0": "examples", "in1": "examples_unit"}
    names |= dict(zip((port.name for port in model.graph.output), ("y", "Y", "y_allowed"), strict=True))
    ports = {names[port.name]: port for port in (*model.graph.input, *model.graph.output)}
    for port in ports.values():
        port.name = names[port.name]
    for node in model.graph.node:
        for place in (node.input, node.output):
            place[:] = [names.get(name, name) for name in place]
    shapes = {name: tuple(size.dim_value for size in port.type.tensor_type.shape.dim) for name, port in ports.items()}
    given = {name: np.zeros((1, *shapes[name]), np.int16) for name in ("examples", "examples_unit")}
    said = {name: np.zeros((1, *shapes[name]), np.float32) for name in ("y", "Y", "y_allowed")}
    examples = Examples(1, given, dict.fromkeys(given, 1.0), said, dict.fromkeys(said, 1e-6))
    write(prove(lower(Model(ir.from_proto(model))), examples).files, tmp_path)
    assert told(tmp_path, (compiler, "-std=c99"))[0] == "0"


def test_the_audit_counts_no_example(made: tuple[Artifact, Examples]) -> None:
    artifact, _ = made
    found = dissect(artifact.files)
    assert set(artifact.files) == {"net.c", "net.h", "net.golden.h"}
    assert set(found.sizes) == {"net.c", "net.h"}
    assert any("'net.golden.h' is not counted" in note for note in found.notes)
    without = dissect({name: data for name, data in artifact.files.items() if name != "net.golden.h"})
    assert without.sections == found.sections
    assert not any("golden" in note for note in without.notes)


def test_the_same_bytes(made: tuple[Artifact, Examples]) -> None:
    artifact, examples = made
    assert prove(artifact, examples).files == artifact.files
