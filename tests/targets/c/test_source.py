"""What the source looks like, what is said of it, and what is refused."""

from __future__ import annotations

import mmap
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from compile import capture
from compile.errors import MissingTool, UnsupportedNode, UserError
from compile.memory import check, plan
from compile.model import Model
from compile.simplify.pipeline import simplify
from compile.streaming.stream import stream
from targets.base import Kind
from targets.c.dissect import dissect, understood
from targets.c.lower import lower
from targets.c.run import load

NASTY = 'a */ ?\\?/ "b" \\ \n é state'


def small(h: Any) -> Any:
    x = h.op("Relu", h.conv(h.input(1, 3, 20), 8, 3, (3,)))
    return h.model(h.gemm(h.reshape(x, 1, 144), 5, 144), metadata={"phiz.note": f"{NASTY} 100%"})


def lowered(model: Any) -> dict[str, bytes]:
    return dict(lower(Model(ir.from_proto(model))).files)


def test_the_same_bytes_for_the_same_network(hub: Any) -> None:
    assert lowered(small(hub(1))) == lowered(small(hub(1)))


def test_sizes_are_those_of_what_the_source_holds(hub: Any, quantize: Any) -> None:
    h = hub(1)
    files = lowered(quantize(small(h), "w8a8", h.feeds()))
    found = dissect(files)
    assert found.sizes == {name: len(data) for name, data in files.items()}
    for name, data in files.items():
        own = [section for section in found.sections if section.file == name]
        assert own[0].start == 0
        assert own[-1].end == len(data)
        assert all(a.end == b.start for a, b in pairwise(own))
    weights = {s.layer: s.resident for s in found.sections if s.kind == Kind.WEIGHTS}
    # 8 outputs fill a block of 16, of 9 inputs that fill 3 quads; 5 outputs one, of 144 inputs.
    assert weights == {"n0_weight": 16 * 12, "n3_weight": 16 * 144, "n0_bias": 16 * 4, "n3_bias": 16 * 4}
    scratch = int(re.search(r"_SCRATCH_BYTES (\d+)", files["net.h"].decode())[1])
    buffers = [life for life in found.lifetimes if re.fullmatch(r"v\d+", life.tensor)]
    placed = plan(buffers, found.alignment)
    check(placed, buffers)
    assert placed.size <= scratch < placed.size + found.alignment
    assert {"in0", "v_n3_d"} <= {life.tensor for life in found.lifetimes}
    assert found.metadata["phiz.note"] == f"{NASTY} 100%"
    assert [step.split('"')[1] for step in found.steps] == ["in0_Q", "n0", "n3", "v_n3_DQ"]


def test_names_of_all_kinds(hub: Any, compiler: str, written: Callable[..., Path], reference: Any) -> None:
    """Inputs, outputs and nodes called after keywords, comments, macros, and each other's tables."""
    h = hub(1)
    feeds_of = {}
    outputs = []
    for name in (NASTY, "int", "v1", "EOF", "n_weight", "memcpy", "3", "INFINITY", "a.b", "a_b", "at"):
        h.inputs.append(type(h.inputs[0]).FromString(h.inputs[0].SerializeToString()) if h.inputs else None)
        if h.inputs[-1] is None:
            h.inputs.pop()
            h.input(1, 4)
        h.inputs[-1].name = name
        feeds_of[name] = np.random.default_rng(len(name)).normal(0, 1, (1, 4)).astype(np.float32)
        outputs.append(h.gemm(name, 3, 4))
        h.nodes[-1].name = name
    model = h.model(*outputs)
    found = load(written(model), ("-std=c99", "-O0", "-fPIC", "-shared")).run(feeds_of)
    expected = reference(model, feeds_of)
    assert all(np.allclose(found[name], expected[name], atol=1e-6) for name in expected)


TWO = """
#include <stdio.h>
#include "anna.stream.h"
#include "student.stream.h"
int main(void) {
    static anna_stream_scratch first;
    static student_stream_scratch second;
    static float in[60], a[ANNA_STREAM_V_N3_D_ELEMENTS], b[STUDENT_STREAM_V_N3_D_ELEMENTS];
    for (int i = 0; i < 60; ++i) in[i] = 0.25f * (float)(i % 7) - 0.5f;
    anna_stream_window(&first, in, a);
    student_stream_window(&second, in, b);
    fwrite(a, sizeof a, 1, stdout);
    fwrite(b, sizeof b, 1, stdout);
    return 0;
}
"""


def test_two_students_in_one_program(hub: Any, quantize: Any, compiler: str, tmp_path: Path) -> None:
    """One renamed as the documentation says."""
    if shutil.which("sed") is None:
        pytest.skip("there is no sed")
    feeds = {"in0": (np.float32(0.25) * (np.arange(60) % 7) - np.float32(0.5)).astype(np.float32).reshape(1, 3, 20)}
    expected = []
    for seed, folder in ((1, tmp_path / "build" / "anna"), (2, tmp_path)):
        h = hub(seed)
        model = quantize(small(h), "w8a8", h.feeds())
        model.graph.name = "student.stream"
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in lowered(model).items():
            (folder / name).write_bytes(data)
        expected += [next(iter(load(folder / "student.stream.c").run(feeds).values()))]
    assert not np.array_equal(*expected)
    lines = re.findall(r"^sed .*", (Path(__file__).parents[3] / "docs" / "c.md").read_text(encoding="utf-8"), re.M)
    assert len(lines) == 2
    (tmp_path / "main.c").write_text(TWO)
    sources = ("main.c", "anna.stream.c", "student.stream.c")
    for line in (*lines, f"'{compiler}' -std=c99 -O1 {' '.join(sources)} -o two -lm"):
        subprocess.run(line, shell=True, cwd=tmp_path, check=True)
    found = subprocess.run([tmp_path / "two"], capture_output=True, check=True).stdout
    assert found == b"".join(array.tobytes() for array in expected)
    files = {name: (tmp_path / name).read_bytes() for name in ("anna.stream.c", "anna.stream.h")}
    assert dissect(files).sizes == {name: len(data) for name, data in files.items()}


def test_what_it_cannot_do_is_refused(hub: Any) -> None:
    h = hub(1)
    model = h.model(h.op("Erf", h.input(1, 4)))
    with pytest.raises(UnsupportedNode, match="operator Erf at node 'n0' is not supported by the C target"):
        lower(Model(ir.from_proto(model)))


def test_what_kernels_cannot_count_is_refused(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if int32 ended at 1,000: padded to blocks of 16 outputs, these weights take 1,024 bytes."""
    h = hub(1)
    model = h.model(h.gemm(h.input(1, 16), 1, 16))
    monkeypatch.setattr("targets.c.lower._MOST", 1000)
    with pytest.raises(UserError, match="the table 'n0_weight' takes more than 2 GB"):
        lower(Model(ir.from_proto(model)))


def test_without_a_compiler(hub: Any, written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(small(hub(1)))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(path.parent))
    with pytest.raises(MissingTool, match="no C compiler; install gcc or clang"):
        load(path)


def test_what_the_compiler_refuses(hub: Any, written: Callable[..., Path], compiler: str) -> None:
    path = written(small(hub(1)))
    path.write_text(path.read_text() + "\nint x = ;\n")
    with pytest.raises(UserError, match=r"the C compiler refuses it: .*error"):
        load(path)


@pytest.mark.parametrize("script", ["exit 1", "echo 'probe.c:1: fatal error: math.h: no such file' >&2; exit 1"])
def test_a_compiler_that_compiles_nothing(
    hub: Any, written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    """Such as one without the headers of a C library; it says nothing about the source."""
    path, fake = written(small(hub(1))), tmp_path / "fake"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(MissingTool, match=r"^fake: the C compiler cannot even compile an empty program; install"):
        load(path)


def test_what_a_compiler_says_need_not_be_text(
    hub: Any, written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, fake = written(small(hub(1))), tmp_path / "fake"
    fake.write_text("#!/bin/sh\ncase \"$*\" in *probe.c*) exit 0;; esac\nprintf 'error: \\377\\n' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(UserError, match="the C compiler refuses it: error: \ufffd"):
        load(path)


def test_compilers_that_are_none_for_this_machine(
    hub: Any, written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = written(small(hub(1)))
    idle, garbage = tmp_path / "idle", tmp_path / "garbage"
    idle.write_text("#!/bin/sh\nexit 0\n")
    garbage.write_bytes(b"\x7fELF of nothing")
    for program in (idle, garbage):
        program.chmod(0o755)
    for word, reason in (
        (f"'{idle}' -O2", "idle: what it makes cannot be loaded here; name this machine's C compiler in CC"),
        (f"'{garbage}'", "garbage: what it makes cannot be loaded here"),
    ):
        monkeypatch.setenv("CC", word)
        with pytest.raises(MissingTool, match=f"^{re.escape(reason)}"):
            load(path)
    monkeypatch.setenv("CC", "gcc 'quoted")
    with pytest.raises(UserError, match="CC: its quotes do not match"):
        load(path)


def test_wrong_inputs(hub: Any, written: Callable[..., Path], compiler: str) -> None:
    runner = load(written(small(hub(1))))
    with pytest.raises(UserError, match="give exactly: in0"):
        runner.run({})
    with pytest.raises(UserError, match=r"expected float32 \(1, 3, 20\)"):
        runner.run({"in0": np.zeros((1, 3, 21), np.float32)})


def spoilt(files: dict[str, bytes], old: str, new: str, file: str = "net.c") -> dict[str, bytes]:
    assert old in files[file].decode()
    return {**files, file: files[file].replace(old.encode(), new.encode(), 1)}


def test_sources_that_lie(hub: Any) -> None:
    files = lowered(small(hub(1)))
    with pytest.raises(UserError, match=r"its header 'net\.h' is missing"):
        dissect({"net.c": files["net.c"]})
    with pytest.raises(UserError, match="does not hold the 144 numbers"):
        dissect(spoilt(files, "n0_weight[144] = {\n    ", "n0_weight[144] = {\n    1.0f,"))
    h = hub(1)
    busy = lowered(h.model(h.op("Tanh", h.op("Exp", h.op("Sin", h.input(1, 100))))))
    places = re.findall(r"at \+ \d+", busy["net.c"].decode())
    with pytest.raises(UserError, match="its plan of memory is wrong: two living tensors share bytes"):
        dissect(spoilt(spoilt(busy, places[0], "at + 16"), places[1], "at + 16"))
    with pytest.raises(UserError, match=r"its plan of memory is wrong: .* outside the arena"):
        dissect(spoilt(files, "_SCRATCH_BYTES", "_SCRATCH_BYTES 16\n#define OTHER", "net.h"))
    with pytest.raises(UserError, match="not a C source that phiz wrote"):
        dissect({"net.c": b"int main(void) { return 0; }\n", "net.h": b""})
    with pytest.raises(UserError, match="not ASCII"):
        dissect({**files, "net.c": files["net.c"] + b"\xff"})


def test_what_is_cut_or_hidden_is_refused(hub: Any) -> None:
    files = lowered(small(hub(1)))
    for name, last in (("net.c", b"\n};"), ("net.h", b"\n#endif")):
        text = files[name]
        for end in range(0, text.rindex(last), 97):
            with pytest.raises(UserError):
                dissect({**files, name: text[:end]})
    mark = "/* ---- constants ---- */\n"
    for hidden in ("static const float more[2] = {0};\n", "static float w[100000];\n", '#include "more.h"\n'):
        with pytest.raises(UserError, match=f"what is no table: {re.escape(hidden.strip())}"):
            dissect(spoilt(files, mark, mark + hidden))
    with pytest.raises(UserError, match="its lines end with CR; keep them as they were"):
        dissect({name: data.replace(b"\n", b"\r\n") for name, data in files.items()})


@pytest.mark.parametrize("filling", [" " * 300_000, "\n" * 300_000, '    "a",' * 50_000, '"a"\n        ' * 50_000])
def test_metadata_without_an_end_take_no_time(hub: Any, filling: str) -> None:
    """A pattern that tries every way to split these would never come back."""
    files = lowered(small(hub(1)))
    with pytest.raises(UserError, match="it is not whole"):
        dissect(spoilt(files, "net_metadata[] = {\n", "net_metadata[] = {\n" + filling + "x"))


def test_large_sources_are_memory_maps(hub: Any, tmp_path: Path) -> None:
    files = lowered(small(hub(1)))
    maps = {}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        with (tmp_path / name).open("rb") as file:
            maps[name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert dissect(maps) == dissect(files)


def test_sizes_beyond_all_measure(hub: Any) -> None:
    files = lowered(small(hub(1)))
    for shape, reason in (("[1" + "0" * 4000 + "]", "more than 2 GB"), ("[" + "9, " * 100_000 + "9]", "garbled")):
        with pytest.raises(UserError, match=reason):
            dissect(spoilt(files, "[1, 3, 20]", shape))


def test_a_state_is_read_where_it_is_declared(tmp_path: Path) -> None:
    """Though an input has the name that it would have in C."""
    random = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in (("w", (4, 1, 20)), ("u", (4, 4, 3)))
    ]
    nodes = [onnx.helper.make_node("Conv", ["state-0", "w"], ["s"], strides=[20])]
    nodes.append(onnx.helper.make_node("Conv", ["s", "u"], ["y"]))
    ports = (("state-0", 1, [1, 1, 60]), ("y", 1, [1, 4, 1]))
    x, y = (onnx.helper.make_tensor_value_info(*port) for port in ports)
    graph = onnx.helper.make_graph(nodes, "net", [x], [y], weights)
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(made, tmp_path / "net.onnx")
    artifact = lower(stream(simplify(capture.from_onnx(tmp_path / "net.onnx")).model))
    text, header = (artifact.files[artifact.name[:-1] + suffix].decode() for suffix in "ch")
    fields = [port.identifier for port in understood(artifact.name, text, header).ports if port.kind == "state"]
    assert fields == ["state_0_2"]
    assert set(re.findall(r"state->(\w+)", text.partition("_push_hop(")[2])) - {"scratch"} == {*fields}
