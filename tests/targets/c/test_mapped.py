"""Weights in a file: the same bits as weights in the source, and no other file will do."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from compile.errors import UserError
from compile.model import Model
from targets.base import Kind
from targets.c.dissect import dissect
from targets.c.lower import lower
from targets.c.run import load
from targets.catalogue import find

WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC", "-shared")
VARIANTS = {
    "gcc": ("gcc", "-std=c99", "-O1", *WARNINGS),
    "clang": ("clang", "-std=c99", "-O1", *WARNINGS),
    "native": ("gcc", "-std=c99", "-O1", "-march=native", *WARNINGS),
    "g++": ("g++", "-x", "c++", "-std=c++17", "-O0", *WARNINGS),
    "clang++": ("clang++", "-x", "c++", "-std=c++17", "-O0", *WARNINGS),
}


def network(h: Any) -> Any:
    """Products of every kind, a table of function values, and a constant operand."""
    x = h.op("Relu", h.conv(h.input(1, 3, 61), 18, 3, (7,), strides=[2]))
    x = h.op("Tanh", h.conv(x, 18, 1, (3,), group=18, pads=[1, 1]))
    x = h.conv(h.op("Add", x, h.noise(1, 18, 1)), 38, 9, (3,), group=2)
    return h.model(h.gemm(h.reshape(x, 1, 38 * 26), 17, 988), metadata={"phiz.note": "mapped"})


@pytest.fixture
def both(hub: Any, quantize: Any, tmp_path: Path) -> Callable[[str], tuple[dict[str, bytes], dict[str, Any]]]:
    """``both(scheme)``: the files of a source and of its mapped twin, which lie in ``tmp_path``; and inputs."""

    def write(scheme: str) -> tuple[dict[str, bytes], dict[str, Any]]:
        h = hub(1)
        model = network(h)
        feeds = h.feeds()
        own = Model(ir.from_proto(quantize(model, scheme, feeds)))
        files = {**lower(own).files, **find("c:mapped").lower(own).files}
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        return files, feeds

    return write


@pytest.mark.parametrize("scheme", ["float", "w8", "w8a8"])
def test_the_same_bits(both: Any, compiler: str, tmp_path: Path, scheme: str) -> None:
    _, feeds = both(scheme)
    expected = load(tmp_path / "net.c").run(feeds)
    found = load(tmp_path / "net.mapped.c").run(feeds)
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_bits_from_every_compiler(
    both: Any, compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    command, *flags = VARIANTS[name]
    if shutil.which(command) is None:
        pytest.skip(f"there is no {command}")
    _, feeds = both("w8a8")
    expected = load(tmp_path / "net.c").run(feeds)
    monkeypatch.setenv("CC", command)
    found = load(tmp_path / "net.mapped.c", tuple(flags)).run(feeds)
    assert all(found[name].tobytes() == array.tobytes() for name, array in expected.items())


def test_the_same_bytes_for_the_same_network(both: Any) -> None:
    assert both("w8a8")[0] == both("w8a8")[0]


def test_the_file_is_what_it_says(both: Any) -> None:
    """SHA-256, CRC-32 and sizes by Python's own libraries; no table is left in the source."""
    files, _ = both("w8a8")
    data, source, header = (files[f"net.mapped.{suffix}"] for suffix in ("bin", "c", "h"))
    assert data[:16] == b"phiz weights LE\n"
    assert data[16:48] == hashlib.sha256(data[64:]).digest()
    assert int.from_bytes(data[48:56], "little") == len(data)
    assert data[56:64] == bytes(8)
    assert f"== 0x{zlib.crc32(data):08x}u;" in source.decode()
    assert f"#define NET_MAPPED_WEIGHTS_BYTES {len(data)}\n" in header.decode()
    assert "static const int8_t" not in source.decode()
    assert "static const int8_t" in files["net.c"].decode()


def test_the_audit_counts_the_same_weights(both: Any) -> None:
    files, _ = both("w8a8")
    found = dissect({name: data for name, data in files.items() if name.startswith("net.mapped")})
    twin = dissect({name: files[name] for name in ("net.c", "net.h")})
    assert set(found.sizes) == {"net.mapped.c", "net.mapped.h", "net.mapped.bin"}
    for kind in (Kind.WEIGHTS, Kind.QUANTIZATION):
        told, inline = ({s.layer: s.resident for s in each.sections if s.kind == kind} for each in (found, twin))
        assert told == inline
    own = [section for section in found.sections if section.file == "net.mapped.bin"]
    assert (own[0].start, own[-1].end) == (0, len(files["net.mapped.bin"]))
    assert all(a.end == b.start for a, b in pairwise(own))
    stored = {section.layer: section.end - section.start for section in own if section.layer}
    assert stored == {s.layer: s.resident for s in twin.sections if s.layer}
    padding = sum(section.end - section.start for section in own if section.kind == Kind.PADDING)
    assert padding < 16 * len(stored)
    assert all(constant.readers for constant in found.constants)
    assert found.lifetimes == twin.lifetimes


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def others(data: bytes, other: bytes) -> dict[str, bytes]:
    """What is not a file's own weights."""
    return {
        "empty": b"",
        "one byte short": data[:-1],
        "one byte more": data + b"\0",
        "another kind": changed(data, 0),
        "another digest": changed(data, 20),
        "a byte of the first table": changed(data, 64),
        "the last byte": changed(data, len(data) - 1),
        "of another network": other.ljust(len(data), b"\0")[: len(data)],
    }


def test_weights_are_asked_whose_they_are(both: Any, compiler: str, tmp_path: Path) -> None:
    files, _ = both("w8a8")
    data = files["net.mapped.bin"]
    other = dict(both("float")[0])["net.mapped.bin"]
    both("w8a8")
    library = tmp_path / "net.so"
    command = [compiler, "-std=c99", "-fPIC", "-shared", "net.mapped.c", "-o", str(library), "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    ask = ctypes.CDLL(str(library)).net_mapped_weights_ok
    ask.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def said(weights: bytes, off: int = 0) -> int:
        room = np.zeros(len(weights) + 32, np.uint8)
        start = -room.ctypes.data % 16 + off
        room[start : start + len(weights)] = np.frombuffer(weights, np.uint8)
        return int(ask(room.ctypes.data + start, len(weights)))

    assert said(data) == 1
    assert [off for off in range(1, 16) if said(data, off)] == []
    assert ask(None, len(data)) == 0
    assert [name for name, bad in others(data, other).items() if said(bad)] == []


def test_other_weights_are_refused(both: Any, compiler: str, tmp_path: Path) -> None:
    """By the auditor, and by who runs them."""
    other = dict(both("float")[0])["net.mapped.bin"]
    files = {name: data for name, data in both("w8a8")[0].items() if name.startswith("net.mapped")}
    source, beside = tmp_path / "net.mapped.c", tmp_path / "net.mapped.bin"
    for bad in others(files["net.mapped.bin"], other).values():
        beside.write_bytes(bad)
        with pytest.raises(UserError, match=r"net\.mapped\.bin: these weights are (not those|damaged)"):
            dissect({**files, beside.name: bad})
        with pytest.raises(UserError, match=r"net\.mapped\.bin: these weights are (not those|damaged)"):
            load(source)
    beside.unlink()
    with pytest.raises(UserError, match=r"its weights 'net\.mapped\.bin' are missing; keep its files together"):
        dissect({name: data for name, data in files.items() if name != beside.name})
    with pytest.raises(UserError, match=r"its weights 'net\.mapped\.bin' are missing; keep its files together"):
        load(source)


def test_sources_that_lie(both: Any) -> None:
    files = {name: data for name, data in both("w8a8")[0].items() if name.startswith("net.mapped")}

    def spoilt(old: bytes, new: bytes, name: str = "net.mapped.c") -> dict[str, bytes]:
        assert old in files[name]
        return {**files, name: files[name].replace(old, new, 1)}

    with pytest.raises(UserError, match="lie outside its"):
        dissect(spoilt(b"(from + 64); /* ", b"(from + 64); /* 9999999"))
    with pytest.raises(UserError, match=r"net\.mapped\.bin: its bytes from \d+ to \d+ are of no table"):
        dissect(spoilt(b"    const int8_t *const n0_weight", b"    const int8_t * const n0_weight"))
    with pytest.raises(UserError, match="overlap"):
        dissect(spoilt(b"(from + 64);", b"(from + 80);"))
    with pytest.raises(UserError, match="does not say which weights it needs"):
        dissect(spoilt(b"own[56]", b"own[57]"))
    for size in (b"_OTHER_BYTES", b"_WEIGHTS_BYTES 0 /*"):  # with 0 nobody would count them
        with pytest.raises(UserError, match="its header does not say how large its weights are"):
            dissect(spoilt(b"_WEIGHTS_BYTES", size, "net.mapped.h"))
    with pytest.raises(UserError, match="larger or smaller"):
        dissect(spoilt(b"_WEIGHTS_BYTES ", b"_WEIGHTS_BYTES 1", "net.mapped.h"))


@pytest.mark.parametrize("blind", [False, True])
def test_a_machine_of_the_other_byte_order(both: Any, tmp_path: Path, blind: bool) -> None:
    """Its compiler says so; a compiler that does not know leaves it to the program."""
    if shutil.which("s390x-linux-gnu-gcc") is None or shutil.which("qemu-s390x") is None:
        pytest.skip("there is no compiler for such a machine, or nothing that runs what it makes")
    data = both("w8a8")[0]["net.mapped.bin"]
    (tmp_path / "main.c").write_text(ASKING.format(size=len(data)))
    command = ["s390x-linux-gnu-gcc", "-std=gnu99", "-static", *(["-U__BYTE_ORDER__"] if blind else [])]
    done = subprocess.run(
        [*command, "net.mapped.c", "main.c", "-lm", "-o", "program"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not blind:
        assert "little-endian file: take --target c" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    ran = subprocess.run(["qemu-s390x", tmp_path / "program"], input=data, capture_output=True, check=True)
    assert ran.stdout == b"0"


ASKING = """
#include <stdio.h>
#include "net.mapped.h"
static union {{ double alignment[2]; unsigned char bytes[{size}]; }} weights;
int main(void) {{
    const size_t size = fread(&weights, 1, {size}, stdin);
    char *const at = (char *)&weights + (16 - (uintptr_t)&weights % 16) % 16;
    printf("%d", at == (char *)&weights ? net_mapped_weights_ok(at, size) : 3);
    return 0;
}}
"""
