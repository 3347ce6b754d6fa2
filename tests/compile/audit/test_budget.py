"""What a limit says, to the byte: it holds, warns, does not hold, or cannot be known."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compile.audit.budget import Amount, Budget, Check, Limit, Status, caps, judge
from compile.audit.difference import Difference
from compile.audit.report import Row
from compile.audit.sizes import METRICS, Sizes
from targets.base import Constant, Dissection, Kind, Section

# 1,000 bytes: 700 of weights in two pieces, 100 of quantisation parameters, 150 of graph, 50 of metadata.
SECTIONS = (
    Section("m.tflite", 0, 150, Kind.GRAPH),
    Section("m.tflite", 150, 650, Kind.WEIGHTS, "a"),
    Section("m.tflite", 650, 850, Kind.WEIGHTS, "b"),
    Section("m.tflite", 850, 950, Kind.QUANTIZATION, "a"),
    Section("m.tflite", 950, 1_000, Kind.METADATA),
)
DISSECTION = Dissection({"m.tflite": 1_000}, SECTIONS, (), {})
SIZES = Sizes(file=1_000, download=600, weights=800, activations=64, bound=60, brotli=500, measured=5_000)
ROW = Row("tflite", "m.tflite", SIZES, dissection=DISSECTION)
BASELINE = Difference("git:main (1a2b3c4)", "m.tflite", {"file": (900, 1_000), "footprint": (None, 864)})
GROWN = Row("tflite", "m.tflite", SIZES, dissection=DISSECTION, difference=BASELINE)


def only(limit: Limit, row: Row = ROW, **more: object) -> Check:
    (check,) = judge(Budget("b", (limit,), **more), row)  # type: ignore[arg-type]  # fields of Budget by name
    return check


def size(subject: str, most: int) -> Limit:
    return Limit(subject, Amount(most))


def growth(most: Amount, subject: str = "file") -> Limit:
    return Limit(subject, most, growth=True)


def section(subject: str, most: Amount) -> Limit:
    return Limit(subject, most, section=True)


@pytest.mark.parametrize(
    ("limit", "row", "measured", "allowed"),
    [
        *((size(name, found), ROW, found, found) for name, found in (("file", 1_000), ("download", 600))),
        *((size(name, found), ROW, found, found) for name, found in (("weights", 800), ("activations", 64))),
        *((size(name, found), ROW, found, found) for name, found in (("footprint", 864), ("brotli", 500))),
        (size("measured", 5_000), ROW, 5_000, 5_000),
        (section("weights", Amount(700)), ROW, 700, 700),
        (section("weights", Amount(share=0.7)), ROW, 700, 700),
        (section("quantisation", Amount(share=0.1)), ROW, 100, 100),
        (section("graph", Amount(150)), ROW, 150, 150),
        (section("metadata", Amount(share=0.05)), ROW, 50, 50),
        (growth(Amount(100)), GROWN, 100, 100),
    ],
)
def test_a_limit_holds_up_to_its_last_byte(limit: Limit, row: Row, measured: int, allowed: int) -> None:
    at = only(limit, row)
    assert (at.status, at.measured, at.limit, at.detail, at.failed) == (Status.PASS, measured, allowed, "", False)
    less = Amount(allowed - 1)
    below = only(Limit(limit.subject, less, growth=limit.growth, section=limit.section), row)
    assert (below.status, below.measured, below.limit, below.failed) == (Status.FAIL, measured, allowed - 1, True)
    assert "1 byte" in below.detail


def test_a_section_and_a_metric_of_one_name_differ() -> None:
    checks = list(judge(Budget("b", (size("weights", 800), section("weights", Amount(700)))), ROW))
    assert [(check.subject, check.measured) for check in checks] == [("weights", 800), ("weights section", 700)]


@pytest.mark.parametrize(
    ("share", "old", "new", "status"),
    [
        (0.02, 1_000, 1_020, Status.PASS),
        (0.02, 1_000, 1_021, Status.FAIL),
        (0.29, 100, 129, Status.PASS),  # 0.29 * 100 is 28.999999999999996 in floats
        (0.07, 100, 107, Status.PASS),  # 0.07 * 100 is 7.000000000000001
        (0.07, 100, 108, Status.FAIL),
        (0.0, 1_000, 1_000, Status.PASS),
        (0.0, 1_000, 1_001, Status.FAIL),
        (0.5, 0, 0, Status.PASS),
        (0.5, 0, 1, Status.FAIL),
        (0.02, 1_000, 10, Status.PASS),  # it shrank
    ],
)
def test_growth_by_a_share_is_exact(share: float, old: int, new: int, status: Status) -> None:
    row = Row("tflite", "m", SIZES, difference=Difference("old.tflite", "m", {"file": (old, new)}))
    check = only(growth(Amount(share=share)), row)
    assert (check.status, check.measured) == (status, new - old)


@given(st.integers(0, 10**6), st.integers(0, 10**12))
def test_a_share_is_rounded_down_exactly(hundredths_of_a_percent: int, whole: int) -> None:
    share = float(Decimal(hundredths_of_a_percent) / 10_000)
    with localcontext() as context:
        context.prec = 60
        assert Amount(share=share).of(whole) == hundredths_of_a_percent * whole // 10_000


@pytest.mark.parametrize(
    ("most", "warn", "status"),
    [
        (1_000, None, Status.PASS),
        (1_000, 0.95, Status.WARN),
        (1_052, 0.95, Status.WARN),  # 95 % of 1,052 are 999.4
        (1_053, 0.95, Status.PASS),  # and of 1,053 1,000.35
        (1_000, 1.0, Status.WARN),  # at its last byte
        (1_001, 1.0, Status.PASS),
        (999, 0.95, Status.FAIL),
    ],
)
def test_it_warns_from_its_share_on(most: int, warn: float | None, status: Status) -> None:
    check = only(size("file", most), warn=warn)
    assert check.status == status
    assert check.failed == (status == Status.FAIL)
    assert bool(check.detail) == (status != Status.PASS)


def test_what_did_not_grow_gives_no_warning() -> None:
    row = Row("tflite", "m", SIZES, difference=Difference("old", "m", {"file": (1_000, 1_000)}))
    assert only(growth(Amount(0)), row, warn=0.5).status == Status.PASS


def test_sentences_say_all() -> None:
    assert only(size("file", 900)).detail == (
        "its file of 1.00 kB (1,000 bytes) exceeds the cap of 900 bytes by 100 bytes"
    )
    assert only(growth(Amount(share=0.02)), GROWN).detail == (
        "its file grew by 100 bytes over git:main (1a2b3c4), 82 bytes more than the 2 %, 18 bytes allowed"
    )
    assert only(growth(Amount(18)), GROWN).detail == (
        "its file grew by 100 bytes over git:main (1a2b3c4), 82 bytes more than the 18 bytes allowed"
    )
    assert only(size("file", 1_001), warn=0.95).detail == (
        "its file of 1.00 kB (1,000 bytes) is 99 % of the cap of 1.00 kB (1,001 bytes)"
    )


@pytest.mark.parametrize(
    ("limit", "row", "why"),
    [
        (size("brotli", 9), Row("t", "m", Sizes(1, 1, 1, 1, 1), missing={"brotli": "no brotli here"}), "no brotli"),
        (size("measured", 9), Row("t", "m", Sizes(1, 1, 1, 1, 1)), "it was not computed"),
        (size("footprint", 9), Row("t", "m", Sizes(1, 1, 1, 1, 1, ("a", "b"))), "a and 1 more"),
        (size("activations", 9), Row("t", "m", Sizes(1, 1, 1, 1, 1, ("a",))), "a"),
        (size("file", 9), Row("t", "m", Sizes(1, 1, 1, 1, 1, ("the weights in 'x'",))), "the weights in 'x'"),
        (section("graph", Amount(9)), Row("t", "m", Sizes(1, 1, 1, 1, 1)), "it was not computed"),
        (growth(Amount(9)), Row("t", "m", SIZES, missing={"growth": "there is no baseline"}), "there is no baseline"),
        (growth(Amount(share=0.5), "footprint"), GROWN, "git:main (1a2b3c4) does not tell it"),
        *(
            (limit, Row("t", "m", None, reasons=("'m' is missing",)), "its bytes could not be read")
            for limit in (size("file", 9), growth(Amount(9)), section("graph", Amount(9)))
        ),
    ],
)
def test_unknown_is_not_a_pass(limit: Limit, row: Row, why: str) -> None:
    check = only(limit, row)
    assert (check.status, check.failed, check.measured) == (Status.UNKNOWN, True, None)
    assert "unknown is not a pass" in check.detail
    assert why in check.detail


def test_what_is_known_of_an_artefact_that_hides_something_is_judged() -> None:
    row = Row("t", "m", Sizes(1, 1, 1, 1, 1, ("the size of activation 'x'",)))
    assert [only(size(name, 9), row).status for name in ("file", "download", "weights")] == [Status.PASS] * 3


def test_a_targets_limits_replace_those_with_their_name() -> None:
    budget = Budget(
        limits=(size("file", 1), size("download", 2), growth(Amount(3))),
        targets={"coreml": (size("file", 10),), "coreml:ios18": (size("download", 20), section("graph", Amount(30)))},
    )

    def of(target: str) -> list[tuple[str, int | None]]:
        return [(limit.name, limit.most.bytes) for limit in budget.of_target(target)]

    assert of("tflite") == [("file", 1), ("download", 2), ("growth of file", 3)]
    assert of("coreml") == [("file", 10), ("download", 2), ("growth of file", 3)]
    assert of("coreml:ios18") == [("file", 1), ("download", 20), ("growth of file", 3), ("graph section", 30)]


def test_a_flag_takes_the_place_of_what_it_limits_and_of_nothing_else() -> None:
    budget = Budget(
        limits=(size("file", 1), size("download", 2), growth(Amount(3))), targets={"tflite": (size("file", 9),)}
    )
    rest = budget.without(("file", "footprint"))
    assert [limit.name for limit in rest.of_target("tflite")] == ["download", "growth of file"]
    assert not rest.empty
    assert caps({"file": 1}).without(("file",)).empty


def test_a_check_says_whose_it_is() -> None:
    limit = Limit("file", Amount(1), origin="phiz.toml, [budget.mobile] file")
    (check,) = judge(Budget("mobile", (limit,), message="ask the runtime team"), ROW)
    assert (check.budget, check.origin, check.message) == (
        *("mobile", "phiz.toml, [budget.mobile] file"),
        "ask the runtime team",
    )


def test_every_metric_can_be_limited() -> None:
    assert [check.status for check in judge(caps(dict.fromkeys(METRICS, 10**9)), ROW)] == [Status.PASS] * len(METRICS)


def test_a_dtype_holds_for_all_weights_or_says_which_are_otherwise() -> None:
    """Two matrices, of 20 × 25 int8 and of 10 × 5 float32; the bias of the second does not count."""
    constants = (
        Constant("a", Kind.WEIGHTS, "int8", (20, 25), (("m.tflite", 150, 650),), ("dense",)),
        Constant("b", Kind.WEIGHTS, "float32", (10, 10), (("m.tflite", 650, 1_050),), ("dense",)),
        Constant("c", Kind.WEIGHTS, "float32", (100,), (("m.tflite", 1_050, 1_450),), ("dense",)),
    )
    mixed = Row(
        "tflite", "m.tflite", SIZES, dissection=Dissection({"m.tflite": 1_450}, (), (), {}, constants=constants)
    )
    plain = Row(
        "tflite", "m.tflite", SIZES, dissection=Dissection({"m.tflite": 1_450}, (), (), {}, constants=constants[:1])
    )
    budget = Budget("b", dtype="int8", origin="phiz.toml, [budget.b]", message="ask us")
    assert not budget.empty
    (check,) = judge(budget, mixed)
    sentence = "1 weight of 400 B should be int8 but is float32: 'b'"
    assert check == Check("b", "dtype", Status.FAIL, 400, 0, sentence, "phiz.toml, [budget.b] dtype", "ask us")
    (check,) = judge(budget, plain)
    assert (check.status, check.measured, check.detail) == (Status.PASS, 0, "")


@pytest.mark.parametrize(
    "row", [Row("tflite", "m.tflite", None), replace(ROW, sizes=replace(SIZES, unknown=("the weights in 'x'",)))]
)
def test_a_dtype_of_weights_that_nobody_read_is_unknown(row: Row) -> None:
    (check,) = judge(Budget("b", dtype="int8"), row)
    assert check.status is Status.UNKNOWN
    assert "unknown is not a pass" in check.detail
