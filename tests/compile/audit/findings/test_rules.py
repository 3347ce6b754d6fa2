"""Each rule on artefacts made by hand: what it finds, to the byte, and what it must leave alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any, Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compile.audit.findings.dtype import ASKED, claimed, unlike
from compile.audit.findings.finding import Finding, listed
from compile.audit.findings.search import RULES, search
from targets.base import Constant, Dissection, Files, Kind

Array = NDArray[Any]


class Draft(Protocol):
    name: str
    steps: tuple[str, ...]
    constants: list[Constant]

    def put(self, content: bytes, kind: Kind, layer: str = "", dtype: str = "") -> tuple[str, int, int]: ...
    def add(self, name: str, array: Array, content: bytes | None = None, **given: Any) -> Constant: ...
    def dissection(self) -> Dissection: ...
    @property
    def files(self) -> Files: ...


def found(draft: Draft, asked: str = "") -> dict[str, int]:
    """Bytes to be won by rule."""
    findings = search(draft.dissection(), draft.files, asked)
    assert len({finding.rule for finding in findings}) == len(findings)
    return {finding.rule: finding.saves for finding in findings}


def only(draft: Draft, asked: str = "") -> Finding:
    (finding,) = search(draft.dissection(), draft.files, asked)
    return finding


def noise(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_trained_weights_are_no_finding(draft: Draft, trained: Array) -> None:
    draft.add("w", trained)
    draft.add("v", noise(1, 64, 128))
    draft.add("h", noise(2, 64, 128).astype(np.float16))
    draft.add("w.scale", noise(3, 64), kind=Kind.QUANTIZATION)
    draft.add("b", np.zeros(64, np.int32))
    draft.put(b"graph" * 20, Kind.GRAPH)
    assert found(draft) == {}


def test_an_empty_artefact(draft: Draft) -> None:
    assert found(draft, "int8") == {}


# Duplicates.


def test_copies_but_one_are_to_be_won(draft: Draft, trained: Array) -> None:
    for name in ("a", "b", "c"):
        draft.add(name, trained)
    finding = only(draft)
    assert (finding.rule, finding.saves, finding.layers) == ("duplicate-tensors", 2 * 8_192, ("a",))
    assert finding.what == "'a', 'b' and 'c' each store the same 8.19 kB of int8"


def test_shared_bytes_are_no_copies(draft: Draft, trained: Array) -> None:
    first = draft.add("a", trained)
    draft.constants.append(Constant("b", Kind.WEIGHTS, "int8", (64, 128), first.places, ("conv",)))
    assert found(draft) == {}


@pytest.mark.parametrize("change", [{"dtype": "uint8"}, {"shape": (128, 64)}])
def test_equal_bytes_of_another_type_are_no_copies(draft: Draft, trained: Array, change: dict[str, Any]) -> None:
    draft.add("a", trained)
    draft.add("b", trained, **change)
    assert "duplicate-tensors" not in found(draft)


def test_many_small_copies_are_added_up(draft: Draft) -> None:
    for index in range(9):
        draft.add(f"s{index}", noise(4, 16), kind=Kind.QUANTIZATION)
    assert found(draft) == {"duplicate-tensors": 8 * 64}


def test_few_small_copies_are_left_alone(draft: Draft) -> None:
    for index in range(4):
        draft.add(f"s{index}", noise(4, 16), kind=Kind.QUANTIZATION)
    assert found(draft) == {}


def test_the_larger_the_file_the_more_it_takes(draft: Draft) -> None:
    for index in range(9):
        draft.add(f"s{index}", noise(4, 16), kind=Kind.QUANTIZATION)
    draft.add("w", noise(5, 512, 512))  # 1 MB, of which 512 bytes are less than a thousandth
    assert found(draft) == {}


def test_an_attribute_of_an_onnx_node_cannot_be_shared(draft: Draft, trained: Array) -> None:
    for name in ("node 0 ConstantOfShape", "node 1 ConstantOfShape"):
        draft.add(name, trained, readers=(name,))
    assert found(draft) == {}


def test_copies_in_a_file_of_weights_alone(draft: Draft, trained: Array) -> None:
    draft.name, draft.steps = "m.safetensors", ()
    draft.add("a", trained, readers=())
    draft.add("b", trained, readers=())
    finding = only(draft)
    assert (finding.rule, finding.saves) == ("duplicate-tensors", 8_192)
    assert "loaded" in finding.fix


# Transposed copies.


@pytest.mark.parametrize("shape", [(64, 128), (96, 96), (16, 32, 8)])
def test_a_transposed_copy(draft: Draft, shape: tuple[int, ...]) -> None:
    values = noise(6, *shape)
    draft.add("w", values)
    draft.add("w.t", np.ascontiguousarray(values.T))
    finding = only(draft)
    assert (finding.rule, finding.saves) == ("transposed-copies", values.nbytes)
    assert finding.what.startswith("'w.t' is 'w' transposed")


def test_weights_that_begin_and_end_alike_are_no_copies(draft: Draft) -> None:
    one, other = noise(7, 64, 128), noise(8, 128, 64)
    other.flat[0], other.flat[-1] = one.flat[0], one.flat[-1]
    draft.add("a", one)
    draft.add("b", other)
    assert found(draft) == {}


# One weight in two dtypes.


def test_float16_of_a_float32(draft: Draft) -> None:
    values = noise(9, 64, 128)
    draft.add("w", values)
    draft.add("w.half", values.astype(np.float16))
    finding = only(draft)
    assert (finding.rule, finding.saves, finding.layers) == ("same-weight-two-dtypes", values.nbytes, ("w",))


@pytest.mark.parametrize("shape", [(64, 128), (96, 96)])
def test_a_transposed_matrix_in_another_dtype(draft: Draft, shape: tuple[int, int]) -> None:
    values = noise(9, *shape)
    draft.add("w", values)
    draft.add("w.half", np.ascontiguousarray(values.T).astype(np.float16))
    other = noise(109, *shape)
    draft.add("v", other)
    draft.add("v.int", np.ascontiguousarray(quantised(other, 0, 8, True).T))
    finding = only(draft)
    assert (finding.rule, finding.saves) == ("same-weight-two-dtypes", 2 * values.nbytes)


def test_another_float16_of_the_same_size(draft: Draft) -> None:
    values = noise(9, 64, 128)
    draft.add("w", values)
    draft.add("w.half", np.nextafter(values.astype(np.float16), np.float16(9)))
    assert found(draft) == {}


def quantised(values: Array, axis: int | None, bits: int, signed: bool) -> NDArray[np.int8] | NDArray[np.uint8]:
    """By one scale and zero point, or one for each channel of ``axis``."""
    others = tuple(index for index in range(values.ndim) if index != axis) if axis is not None else None
    low, high = values.min(others, keepdims=True), values.max(others, keepdims=True)
    steps = 2**bits - 1
    rounded = np.rint((values - low) / (high - low) * steps)
    return (rounded - 2 ** (bits - 1)).astype(np.int8) if signed else rounded.astype(np.uint8)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize(("bits", "signed"), [(8, True), (8, False), (5, True)])
def test_integers_of_a_float(draft: Draft, axis: int | None, bits: int, signed: bool) -> None:
    values = noise(10, 64, 128) * (1 + np.arange(64, dtype=np.float32)[:, None])
    draft.add("w", values)
    draft.add("w.int", quantised(values, axis, bits, signed))
    assert found(draft).get("same-weight-two-dtypes") == values.nbytes


def test_a_quantised_weight_is_found_among_many_of_its_size_at_once(draft: Draft) -> None:
    """41 candidates for each of 8, of which one is right; every pair is looked at, in well under a second."""
    values = [noise(40 + index, 128, 128) for index in range(8)]
    for index, weight in enumerate(values):
        draft.add(f"w{index}", weight)
    for index in range(40):
        draft.add(f"v{index}.int", quantised(noise(60 + index, 128, 128), 0, 8, True))
    draft.add("w7.int", quantised(values[7], 0, 8, True))
    start = process_time()
    finding = only(draft)
    assert (finding.rule, finding.layers) == ("same-weight-two-dtypes", ("w7",))
    assert process_time() - start < 1


def test_integers_of_another_weight(draft: Draft) -> None:
    draft.add("w", noise(11, 64, 128))
    draft.add("v.int", quantised(noise(12, 64, 128), 0, 8, True))
    assert found(draft) == {}


def test_weights_of_any_bits(draft: Draft) -> None:
    """Infinite values and every kind of NaN, which casts complain about."""
    for index, dtype in enumerate(("float64", "float32", "float16", "int8", "uint16")):
        content = np.random.default_rng(index).bytes(4_096 * np.dtype(dtype).itemsize)
        draft.add(dtype, np.frombuffer(content, dtype).reshape(64, 64))
    assert found(draft) == {}


def test_few_elements_a_channel_explain_anything(draft: Draft) -> None:
    """A scale and a zero point for each pair of elements give every float weight exactly."""
    draft.add("w", noise(13, 1024, 2))
    draft.add("v.int", quantised(noise(14, 1024, 2), None, 8, True))
    assert found(draft) == {}


# The dtype asked for.


def test_weights_in_another_dtype(draft: Draft, trained: Array) -> None:
    draft.add("a", trained)
    draft.add("b", noise(15, 64, 128))
    draft.add("c", noise(16, 64, 64).astype(np.float16))
    draft.add("bias", noise(17, 4096))
    draft.add("bias.int", np.arange(4096, dtype=np.int32) ** 2)
    draft.add("small", noise(18, 4, 15))
    finding = only(draft, "int8")
    assert (finding.rule, finding.saves) == ("dtype", 3 * 64 * 128 + 64 * 64)
    assert finding.what == "2 weights of 41.0 kB should be int8 but are float32, float16: 'b' and 'c'"
    assert found(draft) == {}


def test_a_sign_is_no_other_dtype(draft: Draft, trained: Array) -> None:
    draft.add("a", trained.view(np.uint8))
    assert found(draft, "int8") == {}


def test_narrower_than_asked_is_another_dtype_and_wins_nothing(draft: Draft, trained: Array) -> None:
    draft.add("a", trained)
    assert found(draft, "float16") == {"dtype": 0}


def test_constants_that_share_bytes_count_once(draft: Draft) -> None:
    first = draft.add("a", noise(19, 64, 128))
    draft.constants.append(Constant("b", Kind.WEIGHTS, "float32", (64, 128), first.places, ("conv",)))
    assert [constant.name for constant in unlike(draft.constants, "int8")] == ["a"]
    assert found(draft, "int8") == {"dtype": 3 * 64 * 128}


@pytest.mark.parametrize(
    ("schemes", "instead", "dtype"),
    [
        (("w8a8", "w8", "w8-dynamic"), {}, "int8"),
        (("w8a8", "float"), {}, ""),  # a layer was lifted, and which one the artefact does not say
        (("float", "float"), {}, "float32"),
        (("w8a8",), {"w8a8": "float16"}, "float16"),
        ((), {}, ""),
    ],
)
def test_what_a_plan_claims(schemes: tuple[str, ...], instead: dict[str, str], dtype: str) -> None:
    assert claimed(schemes, instead) == dtype


# Wasteful storage.


def test_varints(draft: Draft, trained: Array) -> None:
    """A negative number takes ten bytes as a varint of a protocol buffer, up to 127 one."""
    size = int(np.where(trained < 0, 10, 1).sum())
    draft.add("w", trained, bytes(range(256)) * (size // 256) + bytes(size % 256), packed="varint")
    assert found(draft) == {"wasteful-storage": size - trained.size}


def test_varints_may_be_shorter(draft: Draft) -> None:
    shape = np.random.default_rng(20).integers(0, 127, 4096)
    draft.add("w", shape, shape.astype(np.uint8).tobytes(), packed="varint")
    assert found(draft) == {}


def halves(count: int) -> NDArray[np.float32]:
    """Every finite float16 that there is, in disorder."""
    everything = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = everything[np.isfinite(everything)]
    return np.random.default_rng(21).permutation(finite)[:count].astype(np.float32).reshape(64, -1)


def test_float32_that_fits_float16(draft: Draft) -> None:
    values = halves(60 * 1024)
    draft.add("w", values)
    assert found(draft) == {"wasteful-storage": values.nbytes // 2}


@pytest.mark.parametrize("value", [65536.0, -131008.0, 2.0**-25, 3 * 2.0**-25, 1 + 2.0**-11, 2.0**-14 + 2.0**-25])
def test_one_value_that_float16_has_not(draft: Draft, value: float) -> None:
    values = halves(60 * 1024)
    values[3, 4] = np.float32(value)
    draft.add("w", values)
    assert found(draft) == {}


def test_zero_points_of_biases(draft: Draft) -> None:
    for index in range(3):
        draft.add(f"z{index}", np.zeros(100 + index, np.int32), kind=Kind.QUANTIZATION)
    draft.add("used", np.arange(100, dtype=np.int32), kind=Kind.QUANTIZATION)
    draft.add("of weights", np.zeros(999, np.int8), kind=Kind.QUANTIZATION)
    assert found(draft) == {"wasteful-storage": 4 * (100 + 101 + 102)}


def test_zero_points_must_stay_in_tflite(draft: Draft) -> None:
    draft.name = "m.tflite"
    draft.add("z", np.zeros(500, np.int32), kind=Kind.QUANTIZATION)
    assert found(draft) == {}


# What compresses away, and zero channels.


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32"])
@pytest.mark.parametrize("axis", [0, 1])
def test_zero_channels(draft: Draft, trained: Array, dtype: str, axis: int) -> None:
    values = trained.astype(dtype) / np.array(1 if dtype == "int8" else 3, dtype)
    values = np.swapaxes(values, 0, axis).astype(dtype)
    np.moveaxis(values, axis, 0)[10:30] = -0.0
    draft.add("w", np.ascontiguousarray(values))
    finding = only(draft)
    assert (finding.rule, finding.saves) == ("zero-channels", 20 * 128 * np.dtype(dtype).itemsize)
    assert finding.what.startswith("20 of the 64 channels of 'w'")


def test_few_zero_channels_are_structure(draft: Draft, trained: Array) -> None:
    trained[3:10] = 0
    draft.add("w", trained)
    assert found(draft) == {}


def test_zero_may_stand_for_something_else(draft: Draft, trained: Array) -> None:
    """In uint8 with a zero point it is the least value, in a lookup table the first."""
    unsigned = (trained.astype(np.int16) + 128).astype(np.uint8)
    unsigned[10:30] = 0
    draft.add("w", unsigned)
    assert found(draft) == {}


def test_a_tiny_float_is_not_zero(draft: Draft) -> None:
    values = noise(22, 64, 128)
    values[10:30, 5] = -np.float32(1e-45)
    values[10:30, :5] = values[10:30, 6:] = 0
    draft.add("w", values)
    assert "zero-channels" not in found(draft)


def test_scattered_zeros_compress_away(draft: Draft, trained: Array) -> None:
    trained[np.random.default_rng(23).random(trained.shape) < 0.8] = 0
    draft.add("w", trained)
    finding = only(draft)
    assert finding.rule == "compressible"
    assert "zero" in finding.what
    assert 4_096 < finding.saves < 8_192


@pytest.mark.parametrize("value", [0.0, 1.0, -1e-7])
def test_a_constant_compresses_away(draft: Draft, value: float) -> None:
    draft.add("w", np.full((64, 64), value, np.float32))
    finding = only(draft)
    assert finding.rule == "compressible"
    assert "alike" in finding.what
    assert finding.saves > 16_000


def test_large_weights_are_guessed_at_first_and_then_deflated(draft: Draft, trained: Array) -> None:
    """Where the pieces that are tried first happen to be zero, the rest still counts."""
    large = np.tile(trained, (8, 1)).ravel()
    large[:] = np.random.default_rng(24).integers(-127, 128, large.size)
    for start in range(0, large.size, large.size // 8):
        large[start : start + 512] = 0
    draft.add("w", large.reshape(64, -1))
    assert found(draft) == {}


# What nobody reads, and what is no weight.


def test_unused_constants(draft: Draft, trained: Array) -> None:
    draft.add("w", trained)
    draft.add("old", noise(25, 10, 10), readers=())
    draft.add("older", noise(26, 5), readers=())
    finding = only(draft)
    assert (finding.rule, finding.saves, finding.layers) == ("unused-tensors", 420, ("old", "older"))


def test_a_file_of_weights_alone_has_no_readers(draft: Draft, trained: Array) -> None:
    draft.steps = ()
    draft.add("w", trained, readers=())
    assert found(draft) == {}


def test_bytes_that_a_read_constant_shares_are_read(draft: Draft, trained: Array) -> None:
    first = draft.add("a", trained, readers=())
    draft.constants.append(Constant("b", Kind.WEIGHTS, "int8", (64, 128), first.places, ("conv",)))
    assert found(draft) == {}


@pytest.mark.parametrize(("size", "saves"), [(999, {}), (1000, {"metadata-share": 1000})])
def test_metadata_from_a_kilobyte_on(draft: Draft, trained: Array, size: int, saves: dict[str, int]) -> None:
    draft.add("w", trained)
    draft.put(b"n" * 400, Kind.METADATA, "conv")
    draft.put(b"m" * (size - 400), Kind.METADATA)
    assert found(draft) == saves


def test_metadata_below_its_share(draft: Draft) -> None:
    draft.add("w", noise(27, 300, 100))
    draft.put(b"m" * 2_000, Kind.METADATA)
    assert found(draft) == {}


def test_what_phiz_tells_its_runtimes_is_needed(draft: Draft, trained: Array) -> None:
    draft.add("w", trained)
    draft.put(b"m" * 2_500, Kind.METADATA)
    dissection = replace(draft.dissection(), metadata={"phiz.controls": "c" * 1_487, "author": "a" * 900})
    (finding,) = search(dissection, draft.files)
    assert (finding.rule, finding.saves) == ("metadata-share", 1_000)
    assert not search(replace(dissection, metadata={"phiz.controls": "c" * 1_488}), draft.files)


def test_the_manifest_of_a_package_is_needed(draft: Draft, trained: Array) -> None:
    draft.name = "m.mlpackage/Manifest.json"
    draft.put(b"m" * 2_000, Kind.METADATA)
    assert found(draft) == {}


@pytest.mark.parametrize(
    ("before", "run", "saves"),
    [(1, 63, 0), (4_096 - 300, 300, 0), (4_000, 1_000, 1_000 - 63), (100, 65_436, 0), (0, 131_072, 65_537)],
)
def test_padding(draft: Draft, trained: Array, before: int, run: int, saves: int) -> None:
    """A gap may reach the next multiple of 64, or of as much as the offset where it ends is a multiple of."""
    draft.name = "m.safetensors"
    draft.put(b"x" * before, Kind.GRAPH)
    draft.put(bytes(run), Kind.PADDING)
    draft.add("w", trained)
    assert found(draft) == ({"padding": saves} if saves else {})


def test_what_nothing_refers_to(draft: Draft, trained: Array) -> None:
    draft.add("w", trained)
    draft.put(b"tail" * 30, Kind.UNMAPPED)
    draft.put(bytes(8), Kind.PADDING)
    draft.put(b"tail" * 40, Kind.UNMAPPED)
    finding = only(draft)
    assert (finding.rule, finding.saves) == ("unexplained-bytes", 280)
    assert finding.what == "nothing refers to 280 B in 2 runs, the longest at byte 8,320 of m.onnx"


# All of them.

DTYPES = ("float32", "float16", "int8", "uint8", "int32", "int64", "int4", "bfloat16", "bool", "", "made up")


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_stored_findings_are_sane(drafts: Callable[[], Draft], data: st.DataObject) -> None:
    """Also constants whose bytes, shape and dtype disagree, as in a file that lies."""
    draft = drafts()
    for index in range(data.draw(st.integers(0, 5))):
        content = data.draw(st.binary(max_size=300)) * data.draw(st.integers(1, 9))
        draft.add(
            f"t{index}",
            np.zeros(0),
            content,
            dtype=data.draw(st.sampled_from(DTYPES)),
            shape=tuple(data.draw(st.lists(st.integers(0, 40), max_size=4))),
            kind=data.draw(st.sampled_from((Kind.WEIGHTS, Kind.QUANTIZATION))),
            readers=data.draw(st.sampled_from(((), ("conv",)))),
            packed=data.draw(st.sampled_from(("", "varint", "sparse"))),
        )
    asked = data.draw(st.sampled_from(("", *ASKED)))
    findings = search(draft.dissection(), draft.files, asked)
    assert all(0 <= finding.saves <= len(draft.data) for finding in findings)
    assert list(findings) == sorted(findings, key=lambda finding: -finding.saves)
    assert search(draft.dissection(), draft.files, asked) == findings


def test_every_rule_says_what_it_looks_for() -> None:
    assert all(rule.__doc__ for rule in RULES)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a"], "'a'"),
        (["a", "b"], "'a' and 'b'"),
        (["a", "b", "c"], "'a', 'b' and 'c'"),
        (list("abcd"), "'a', 'b', 'c' and 1 more"),
        (list("ab") * 2_000, "'a', 'b', 'a' and 3,997 more"),
    ],
)
def test_listed(names: list[str], text: str) -> None:
    assert listed(names) == text


def test_usual_artefacts_are_searched_without_numpy() -> None:
    """It takes longer to import than everything else takes to run."""
    code = """
import random, sys
from compile.audit.findings.search import search
from targets.base import Constant, Dissection, Kind, Section
data = random.Random(1).randbytes(40_000)
places = [(("m.onnx", start, start + 8_000),) for start in range(0, 40_000, 8_000)]
dtypes = ("int8", "float32", "float16", "int8", "int32")
constants = tuple(
    Constant(f"c{i}", Kind.WEIGHTS, d, (8_000 // w // 10, 10), p, ("conv",))
    for i, (d, w, p) in enumerate(zip(dtypes, (1, 4, 2, 1, 4), places))
)
assert not search(Dissection({"m.onnx": 40_000}, (), (), {}, constants=constants, steps=("conv",)), {"m.onnx": data})
assert "numpy" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
