"""The ``.c`` file: kernels, constants, and the network as a function."""

from __future__ import annotations

import re
from collections.abc import Iterator

from targets.c import selftest, weights
from targets.c.interface import render
from targets.c.library import includes, text_of
from targets.c.parts import Parts
from targets.c.source import string, table

_WORD = re.compile(r"\w+")
_GUARD = """\
#if defined(__FAST_MATH__) || defined(_M_FP_FAST) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "compile without -ffast-math, its parts or /fp:fast: sums would be taken in another order, and NaN forgotten"
#elif defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "compile without -ffinite-math-only: NaN would be forgotten"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "floats would be computed with more bits: -msse2 -mfpmath=sse on x86, -fexcess-precision=fast on s390"
#elif defined(_M_IX86_FP) && _M_IX86_FP < 2
#error "floats would be computed with more bits: /arch:SSE2"
#endif
#if defined(__GNUC__) || defined(__clang__)
#define PHIZ_HELPER __attribute__((unused)) static /* some instruction sets do without it */
#else
#define PHIZ_HELPER static
#endif
#if defined(__clang__)
#define PHIZ_KERNEL __attribute__((noinline)) static /* one copy, whatever the optimiser thinks */
#elif defined(__GNUC__)
#define PHIZ_KERNEL __attribute__((noinline, noclone)) static
#else
#define PHIZ_KERNEL static
#endif
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 8)
#define PHIZ_UNROLLED _Pragma("GCC unroll 8") /* what a loop of a few steps works on is to stay in registers */
#else
#define PHIZ_UNROLLED
#endif
/* A product and a sum are rounded apart, on every machine. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
"""


def source(parts: Parts) -> str:
    """The ``.c`` file."""
    body = [line for step in parts.steps for line in step.lines]
    kernels = text_of(sorted(set(_WORD.findall("\n".join(body)))))
    written = parts.tables.values() if parts.weights is None else ()
    tables = [table(each.name, each.ctype, each.data) for each in written]
    text = "\n".join(
        [*_function(parts), *_reset(parts), *weights.check(parts), *_metadata(parts), *selftest.definition(parts)]
    )
    used = includes("\n".join([kernels, text, *tables]))
    return "\n".join(
        [
            f"/* {parts.name}: written by phiz; docs/c.md of phiz says how to read it.",
            " *",
            *render(parts.ports),
            " */",
            f'#include "{parts.name}.h"',
            "",
            *(f"#include <{name}>" for name in used),
            "",
            _GUARD if parts.weights is None else f"{_GUARD}{weights.GUARD}",
            "/* ---- kernels ---- */",
            "",
            kernels,
            "/* ---- constants ---- */",
            "",
            *tables,
            "/* ---- the network ---- */",
            "",
            text,
            "",
        ]
    )


def _function(parts: Parts) -> Iterator[str]:
    body = [line for step in parts.steps for line in step.lines]
    yield f"{parts.signature} {{"
    yield from weights.pointers(parts)
    if parts.offsets:
        scratch = "scratch->bytes" if parts.stream is None else "state->scratch.bytes"
        yield f"    unsigned char *const at = {scratch};"
    for name, offset in parts.offsets.items():
        buffer = parts.buffers[name]
        place = f"at + {offset}"
        given = f"({buffer.ctype} *)(void *)({place})"
        yield f"    {buffer.ctype} *const {name} = {given}; /* {buffer.size} bytes */"
    if parts.stream is None and not parts.offsets:
        yield "    (void)scratch;"
    words = set(_WORD.findall("\n".join(body)))
    for port in parts.of("input"):
        if port.identifier not in words:
            yield f"    (void){port.identifier};"
    told: set[str] = set()
    for number, step in enumerate(parts.steps, start=1):
        new = (set(_WORD.findall("\n".join(step.lines))) & parts.tables.keys()) - told
        size = sum(parts.tables[name].size for name in new)
        told |= new
        yield ""
        yield f"    /* {number}. {step.title}{f'; {size} bytes of constants' if size else ''} */"
        yield from (f"    {line}" for line in step.lines)
    yield "}"


def _reset(parts: Parts) -> Iterator[str]:
    if parts.stream is None:
        return
    zeros = {state.input: state.reset for state in parts.stream.states}
    yield ""
    yield f"void {parts.word}_reset({parts.word}_state *state) {{"
    for port in parts.of("state"):
        zero = f"(int8_t){zeros[port.name]}" if port.ctype == "int8_t" else f"{float(zeros[port.name])}f"
        yield f"    for (int32_t i = 0; i < {port.elements}; ++i) state->{port.identifier}[i] = {zero};"
    yield "}"


def _metadata(parts: Parts) -> Iterator[str]:
    yield ""
    yield f"const char *const {parts.word}_metadata[] = {{"
    for key, value in sorted(parts.metadata.items()):
        yield f"    {string(key)},"
        yield f"        {string(value)},"
    yield "    0"
    yield "};"
    if parts.face is not None:
        yield ""
        yield f"{parts.names} = {{"
        yield from (f"    {string(name)}," for name in parts.face.controls)
        yield "};"
