"""C sources are compiled and run in processes of their own, and whatever happens there is an answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from compile import capture
from compile.audit import measured
from compile.audit.auditor import audit
from compile.audit.budget import Amount, Budget, Limit, Status
from compile.audit.compiled import machine_code, steps
from compile.audit.formats import by_suffix
from compile.audit.measured import Measured, measure
from compile.audit.process import SMAPS, accounted
from compile.audit.render.as_json import render
from compile.model import Model
from compile.simplify.pipeline import simplify
from compile.streaming.stream import stream
from targets.c.run import FLAGS
from targets.catalogue import find
from targets.face import Face

pytestmark = pytest.mark.skipif(not Path(SMAPS).exists(), reason="memory is measured on Linux only")
AROUND = 65_536  # bytes of a file that Linux maps at once, at most, around a page that is touched
SOUND = 'case "$*" in *probe.c*) exit 0;; esac\n'  # a compiler that compiles nothing is not asked about a source
BLOCK = "    /* 1. "


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process is enough where it is not the figure that matters."""
    monkeypatch.setattr(measured, "PROCESSES", 1)
    monkeypatch.setattr(measured, "INFERENCES", 10)


@pytest.fixture
def source(tmp_path: Path, compiler: str, dense: Callable[..., bytes]) -> Callable[..., Path]:
    """``source(rows)``: a source of 512 bytes of weights a row, its files beside it."""

    def write(rows: int = 64, target: str = "c") -> Path:
        return put(tmp_path, target, Model(ir.from_proto(onnx.load_from_string(dense(rows)))))

    return write


def put(folder: Path, target: str, model: Model) -> Path:
    artifact = find(target).lower(model)
    for name, data in artifact.files.items():
        (folder / name).write_bytes(data)
    return folder / artifact.name


def face(folder: Path) -> Model:
    """A network of three frames of 20 ms, and two controls."""
    noise = np.random.default_rng(5).normal(0, 0.1, 8 * 320 + 8 * 8 * 3 + 2 * 8).astype(np.float32)
    first, second, last = np.split(noise, [8 * 320, 8 * 320 + 8 * 8 * 3])
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["window", "wave"], ["w"]),
            helper.make_node("Conv", ["w", "first"], ["a"], strides=[320]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Conv", ["b", "second"], ["c"]),
            helper.make_node("Reshape", ["c", "flat"], ["d"]),
            helper.make_node("Gemm", ["d", "last"], ["controls"], transB=1),
        ],
        "face",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, 960])],
        [helper.make_tensor_value_info("controls", TensorProto.FLOAT, [1, 2])],
        [
            numpy_helper.from_array(np.array((1, 1, 960), np.int64), "wave"),
            numpy_helper.from_array(np.array((1, 8), np.int64), "flat"),
            numpy_helper.from_array(first.reshape(8, 1, 320), "first"),
            numpy_helper.from_array(second.reshape(8, 8, 3), "second"),
            numpy_helper.from_array(last.reshape(2, 8), "last"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, Face(16_000, 50.0, 960, 0.0, ("a", "b")).to_metadata())
    onnx.save(model, folder / "face.onnx")
    return simplify(capture.from_onnx(folder / "face.onnx")).model


def run(path: Path, **more: float) -> Measured | str:
    return measure(path, by_suffix(path), **more)


def altered(path: Path, code: str) -> Path:
    """The source, whose first block begins with other code."""
    text = path.read_text()
    at = text.index("\n", text.index(BLOCK))
    path.write_text(f"{text[:at]}\n    {code}{text[at:]}")
    return path


@pytest.mark.parametrize("target", ["c", "c:mapped"])
def test_growth_is_the_weights_and_little_more(
    source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Of a source whose tables are 1 MB larger, growth is larger by that and its outputs, and none of it is libraries'.

    What is mapped without being touched is at most ``AROUND`` at either end.
    """
    monkeypatch.setattr(measured, "PROCESSES", 3)
    rows = 2_048
    small, large = (run(source(number, target)) for number in (64, 64 + rows))
    assert isinstance(small, Measured)
    assert isinstance(large, Measured)
    assert abs(large.last - small.last - rows * (512 + 4)) < 2 * AROUND
    assert 0 <= small.loaded <= small.first <= small.last < 64 * 512 + 4 * AROUND
    assert small.code < AROUND
    assert large.code < AROUND
    assert large.spread < 2 * AROUND
    assert large.processes == 3
    assert large.machine_code == pytest.approx(small.machine_code, abs=64)  # numbers in instructions have widths


def test_machine_code_is_what_binutils_count(source: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """``size`` of the object file; and that of all functions by ``nm``, which knows nothing of alignment."""
    path = source()
    for name in ("gcc", "clang"):
        if not all(map(shutil.which, (name, "size", "nm"))):
            continue
        monkeypatch.setenv("CC", name)
        found = run(path)
        assert isinstance(found, Measured)
        assert re.fullmatch(rf"{name} \d+\.\d+\.\d+", found.runtime)
        flags = [flag for flag in FLAGS if flag != "-shared"]
        made = path.with_suffix(f".{name}.o")
        subprocess.run([name, *flags, "-c", str(path), "-o", str(made)], check=True)
        sections = dict(line.split()[:2] for line in told("size", "-A", str(made)) if line.startswith("."))
        assert found.machine_code == int(sections[".text"])
        functions = [line.split() for line in told("nm", "-S", str(made)) if re.search(r" [tT] ", line)]
        alone = sum(int(words[1], 16) for words in functions if len(words) == 4)
        assert alone <= found.machine_code < alone + 64 * len(functions)
        return
    pytest.skip("there are no binutils")


def told(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_code_that_is_optimised_as_it_is_linked_is_counted(
    source: Callable[..., Path], compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its object file has none."""
    plain = run(source())
    monkeypatch.setenv("CC", f"{compiler} -flto")
    found = run(source())
    if isinstance(found, str):
        pytest.skip("it cannot be linked so here")
    assert isinstance(plain, Measured)
    assert found.machine_code == pytest.approx(plain.machine_code, rel=0.2)


@pytest.mark.parametrize("target", ["c", "c:mapped"])
def test_a_stream(tmp_path: Path, compiler: str, target: str) -> None:
    found = run(put(tmp_path, target, stream(face(tmp_path))))
    assert isinstance(found, Measured)
    assert 8 * 320 * 4 < found.last < 4 * AROUND


def test_the_whole_audit(source: Callable[..., Path]) -> None:
    limit = Budget("b", (Limit("measured", Amount(bytes=1_000_000)),))
    report = audit(source(), (limit,), measure=True)
    (row,) = report.rows
    assert (report.exit_code, row.checks[0].status) == (0, Status.PASS)
    assert "--measure compiles the source and runs it" in " ".join(row.notes)
    (found,) = json.loads(render(report))["rows"]
    assert found["measured"]["last"] == found["sizes"]["measured"] > 64 * 512
    assert 100 < found["measured"]["machine_code"] < 20_000


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "no C compiler; install gcc or clang, or name one in the environment variable CC"),
        (f"{SOUND}echo 'net.c:1: error: no' >&2; exit 1", "g.c: the C compiler refuses it: net.c:1: error: no"),
        (f"{SOUND}exit 1", "g.c: the C compiler refuses it: it says nothing"),
        (
            "echo 'math.h: error: no such file' >&2; exit 1",
            "fake: the C compiler cannot even compile an empty program; "
            "install what it lacks, such as libc6-dev, or name another in CC",
        ),
        (
            "exit 0",
            "its program cannot be executed here: No such file or directory; name this machine's C compiler in CC",
        ),
        ("exec sleep 60", "g.c: the C compiler takes more than 2 seconds"),
    ],
)
def test_without_a_compiler_that_works(
    source: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    """A limit on what cannot be known fails."""
    path = source()
    monkeypatch.delenv("CC", raising=False)
    if script is None:
        monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    else:
        (tmp_path / "fake").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "fake").chmod(0o755)
        monkeypatch.setenv("CC", str(tmp_path / "fake"))
    assert run(path, seconds=2) == said
    if "seconds" not in said:
        limit = Budget("b", (Limit("measured", Amount(bytes=1_000_000)),))
        report = audit(path, (limit,), measure=True)
        (check,) = report.rows[0].checks
        assert (report.exit_code, check.status) == (1, Status.UNKNOWN)
        assert said in check.detail
        assert said in report.rows[0].notes
        assert report.rows[0].measured is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("*(volatile int *)0 = 1;", "its program died as it ran for the first time, by SIGSEGV"),
        ("for (volatile int i = 0;; ++i) {}", "the time of 3 s was over as it ran for the first time"),
        ("extern void exit(int); exit(7);", "its program died as it ran for the first time, with exit code 7"),
        ("extern void nowhere(void); nowhere();", "its program died while it was loaded, with exit code 1"),
        ("this is no C", "g.c: the C compiler refuses it: g.c:"),
        (
            'extern int dprintf(int, const char *, ...); dprintf(4, "phiz step last\\nRss: x kB\\n");',
            "its program failed as it ran for the first time: what it says cannot be read",
        ),
    ],
)
def test_a_source_that_does_not_work(source: Callable[..., Path], code: str, said: str) -> None:
    found = run(altered(source(), code), seconds=3)
    assert isinstance(found, str)
    assert found.startswith(said)
    assert os.sep not in found


def test_a_source_of_any_name(source: Callable[..., Path]) -> None:
    path = source()
    for suffix in (".c", ".h"):
        text = path.with_suffix(suffix).read_text().replace('"g.h"', '"größe.h"')
        text = text.replace("g__", "gr_e_").replace("G__", "GR_E_")
        path.with_name(f"größe{suffix}").write_text(text, encoding="utf-8")
    found = run(path.with_name("größe.c"))
    assert isinstance(found, Measured), found


def test_what_a_source_prints_is_not_heard(source: Callable[..., Path]) -> None:
    assert isinstance(run(altered(source(), 'extern int puts(const char *); puts("phiz step last");')), Measured)


def test_a_source_that_is_not_phizs_is_not_even_compiled(
    source: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = source()
    (tmp_path / "fake").write_text(f"#!/bin/sh\ntouch {tmp_path}/compiled\nexit 1\n")
    (tmp_path / "fake").chmod(0o755)
    monkeypatch.setenv("CC", str(tmp_path / "fake"))
    audit(path, measure=True)
    assert (tmp_path / "compiled").exists()
    (tmp_path / "compiled").unlink()
    path.write_text(path.read_text().replace("/* ---- constants ---- */", "/* ---- constants ---- */\nint x = 1;"))
    with pytest.raises(Exception, match="among its constants stands what is no table"):
        audit(path, measure=True)
    assert not (tmp_path / "compiled").exists()


def test_a_library_that_tells_nothing(tmp_path: Path) -> None:
    assert machine_code(tmp_path) is None
    for data in (b"", b"\x7fELF\2\1", b"\x7fELF\2\1" + bytes(100)):
        (tmp_path / "student.so").write_bytes(data)
        assert machine_code(tmp_path) is None


def test_steps(tmp_path: Path) -> None:
    """Two mappings of the student, one of a library, one of no file; by proc(5)."""
    own = tmp_path.resolve() / "student.so"
    mappings = {f"r-xp {own}": (8, 0), f"r--p {own}": (40, 4), "r-xp /lib/libc.so": (100, 12), "rw-p": (20, 20)}
    lines = [
        line
        for name, (rss, anonymous) in mappings.items()
        for line in (entry(*name.split()), f"Rss: {rss} kB", f"Anonymous: {anonymous} kB", "VmFlags: rd ex")
    ]
    said = "phiz step imported gcc 1.2.3\n" + "".join(f"{line}\n" for line in lines)
    found = {"imported": {"resident": 168 * 1024, "code": 88 * 1024, "runtime": "gcc 1.2.3"}}
    assert steps(said.encode(), tmp_path) == found
    assert accounted(lines) == (168 * 1024, (88 + 44) * 1024)
    assert steps(b"", tmp_path) == {}


def entry(permissions: str, path: str = "") -> str:
    return f"7f0-7f1 {permissions} 00000000 fe:00 123456     {path}"
