"""One weight, stored in two precisions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING

from compile.audit.findings.evidence import BITS, Evidence, elements, plain, stored
from compile.audit.findings.finding import Case, Finding, finding
from compile.units import short_size
from targets.base import Constant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FLOATS = ("float64", "float32", "float16")
_INTEGERS = ("int8", "uint8", "int16", "uint16")
_PAIRS = 2_000  # compared at most
_UNEXPLAINED = 0.05  # of a float weight's variance; int8 leaves 0.0001, int4 0.01, a stranger nearly all
_CHANNELS, _ELEMENTS = 16, 64  # that are looked at, the latter along each other axis; chance explains none of so many
_CHANNEL = 8  # elements that a channel has at least: fewer are explained by any scale and zero point


def same_weight_two_dtypes(evidence: Evidence) -> tuple[Finding, ...]:
    """A weight that is there as float32 and as float16, or as float and as integers; the wider one is to be won.

    Floats must be equal once rounded to the narrower dtype. Integers must give the float values by one scale and zero
    point, or one for each channel of some axis, but for what rounding leaves. A matrix may be transposed besides.
    """
    by_count: dict[int, list[Constant]] = defaultdict(list)
    for constant in evidence.weights:
        if plain(constant) and evidence.is_read(constant) and constant.dtype in _FLOATS + _INTEGERS:
            by_count[elements(constant)].append(constant)
    pairs = islice((pair for group in by_count.values() for pair in _candidates(group)), _PAIRS)
    found: dict[str, Case] = {}
    for wide, narrow in pairs:
        if wide.name not in found and _same(evidence, wide, narrow):
            text = f"'{wide.name}' of {short_size(stored(wide))} is the {wide.dtype} of '{narrow.name}', {narrow.dtype}"
            found[wide.name] = Case(text, stored(wide), wide.name)
    fix = "keep one of the two, and convert it where the other is read"
    return finding("same-weight-two-dtypes", found.values(), fix, evidence.worth)


def _candidates(group: Sequence[Constant]) -> Iterator[tuple[Constant, Constant]]:
    """(wider float, narrower) of one element count."""
    by_dtype: dict[str, list[Constant]] = defaultdict(list)
    for constant in group:
        by_dtype[constant.dtype].append(constant)
    for wide, narrow in product(by_dtype, by_dtype):
        if wide in _FLOATS and BITS[narrow] < BITS[wide]:
            yield from product(by_dtype[wide], by_dtype[narrow])


def _same(evidence: Evidence, wide: Constant, narrow: Constant) -> bool:
    import numpy as np

    one, other = evidence.values(wide), evidence.values(narrow)
    if one is None or other is None:
        return False
    views = [other.reshape(one.shape)]
    views += [other.T] if one.ndim == 2 and other.T.shape == one.shape else []
    with np.errstate(all="ignore"):  # a file may hold any bits
        if narrow.dtype in _FLOATS:
            return any(_rounded(one, view) for view in views)
        axes = (None, *range(one.ndim))
        return any(_unexplained(one, view, axis) < _UNEXPLAINED for view in views for axis in axes)


def _rounded(one: NDArray[np.generic], other: NDArray[np.generic]) -> bool:
    """``other`` is ``one`` in its narrower dtype, and no mere constant; the first elements tell most strangers."""
    import numpy as np

    parts = ((one[:1], other[:1]), (one, other))
    return all(np.array_equal(part.astype(other.dtype), rest) for part, rest in parts) and one.min() < one.max()


def _unexplained(values: NDArray[np.generic], integers: NDArray[np.generic], axis: int | None) -> float:
    """The share of the variance of ``values`` that no affine function of ``integers``, one for each channel, gives."""
    import numpy as np

    y, x = _sample(values, axis), _sample(integers, axis)
    if y.shape[1] < _CHANNEL or not np.isfinite(y).all():
        return 1.0
    covariance, variance, total = (y * x).sum(1), (x * x).sum(1), (y * y).sum(1)
    explained = np.divide(covariance**2, variance, out=np.zeros_like(variance), where=variance > 0)
    return float(1 - explained.sum() / total.sum()) if total.sum() > 0 else 1.0


def _sample(values: NDArray[np.generic], axis: int | None) -> NDArray[np.float64]:
    """Some channels of an axis, or the whole as one, and some elements of each, as float64 around their mean."""
    import numpy as np

    most = (_CHANNELS if index == axis else _ELEMENTS for index in range(values.ndim))
    steps = (slice(None, None, -(-size // few)) for size, few in zip(values.shape, most, strict=True))
    block = values[tuple(steps)]
    table = block.reshape(1, -1) if axis is None else np.moveaxis(block, axis, 0).reshape(block.shape[axis], -1)
    centred: NDArray[np.float64] = table - table.mean(1, dtype=np.float64, keepdims=True)
    return centred
