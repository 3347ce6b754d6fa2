"""A lowered program as the text of its two files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from targets.c.emitter import Buffer, Step, Table
from targets.c.interface import Port, render
from targets.c.library import includes, text_of
from targets.c.source import identifier, string, table
from targets.face import Face
from targets.stream import Stream

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
/* A product and a sum are rounded apart, on every machine. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
"""


@dataclass(frozen=True)
class Parts:
    """What the text is put together from.

    Attributes:
        name: of the files.
        ports: inputs, outputs and states.
        steps: the blocks of the one function that computes.
        tables: constants by name.
        buffers: by name.
        offsets: of those in scratch memory, in bytes.
        size: of the scratch memory, in bytes.
        stream: how it is streamed; None for one that takes windows.
        metadata: ``phiz.*``.
    """

    name: str
    ports: tuple[Port, ...]
    steps: list[Step]
    tables: Mapping[str, Table]
    buffers: Mapping[str, Buffer]
    offsets: Mapping[str, int]
    size: int
    stream: Stream | None
    metadata: Mapping[str, str]

    @property
    def word(self) -> str:
        """What all identifiers begin with."""
        return identifier(self.name)

    def of(self, kind: str) -> list[Port]:
        """The ports of a kind."""
        return [port for port in self.ports if port.kind == kind]

    @property
    def face(self) -> Face | None:
        """What it drives; None for a network of another kind."""
        return Face.from_metadata(self.metadata, self.name) if "phiz.controls" in self.metadata else None

    @property
    def signature(self) -> str:
        """The function that computes."""
        given = [f"const {port.ctype} *{port.identifier}" for port in self.of("input")]
        given += [f"{port.ctype} *{port.identifier}" for port in self.of("output")]
        if self.stream is None:
            return f"void {self.word}_window({', '.join([f'{self.word}_scratch *scratch', *given])})"
        return f"void {self.word}_push_hop({', '.join([f'{self.word}_state *state', *given])})"


def source(parts: Parts) -> str:
    """The ``.c`` file."""
    body = [line for step in parts.steps for line in step.lines]
    kernels = text_of(sorted(set(_WORD.findall("\n".join(body)))))
    tables = [table(each.name, each.ctype, each.data) for each in parts.tables.values() if _named(each.name, body)]
    text = "\n".join([*_function(parts), *_reset(parts), *_metadata(parts)])
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
            _GUARD,
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


def header(parts: Parts) -> str:
    """The ``.h`` file."""
    word, upper = parts.word, parts.word.upper()
    lines = [
        f"/* {parts.name}: how to call it. Compiles as C99 and as C++; needs of the standard library memcpy, memset",
        " * and sqrtf at most. It allocates nothing and keeps nothing but what its caller gives it: it is re-entrant.",
        " *",
        *(f" * {port.kind} {port.identifier}: {port.ctype} {list(port.shape)}" for port in parts.ports),
        " *",
        *_explanation(parts),
        " */",
        f"#ifndef PHIZ_{upper}_H",
        f"#define PHIZ_{upper}_H",
        "",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"#define {upper}_SCRATCH_BYTES {max(parts.size, 1)}",
        *(f"#define {upper}_{port.identifier.upper()}_ELEMENTS {port.elements}" for port in parts.ports),
    ]
    lines += _facts(parts)
    lines += [
        "",
        "/* Memory to compute in; what is in it before and after does not matter. */",
        f"typedef union {word}_scratch {{",
        "    int64_t alignment;",
        f"    unsigned char bytes[{upper}_SCRATCH_BYTES];",
        f"}} {word}_scratch;",
        "",
    ]
    if parts.stream is not None:
        lines += [
            "/* All that is kept from hop to hop. */",
            f"typedef struct {word}_state {{",
            *(f"    {port.ctype} {port.identifier}[{port.elements}];" for port in parts.of("state")),
            f"    {word}_scratch scratch;",
            f"}} {word}_state;",
            "",
            f"void {word}_reset({word}_state *state);",
        ]
    lines += [
        f"{parts.signature};",
        "",
        "/* Keys and values in turn, and a null pointer at the end. */",
        f"extern const char *const {word}_metadata[];",
    ]
    if parts.face is not None:
        lines += ["/* Names of what it moves, in their order. */", f"{_names(parts)};"]
    lines += [
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def _explanation(parts: Parts) -> list[str]:
    if parts.stream is None:
        return [f" * {parts.word}_window computes the outputs of one window. Pointers must not overlap."]
    return [
        f" * {parts.word}_reset forgets all that was heard; from hop number {parts.stream.warm_up} on the outputs are",
        f" * those of the window that ends with the hop: push silence first. {parts.word}_push_hop takes one hop.",
        " * Pointers must not overlap.",
    ]


def _facts(parts: Parts) -> Iterator[str]:
    """Metadata that are whole numbers, as macros; times in samples."""
    upper, face = parts.word.upper(), parts.face
    if parts.stream is not None:
        yield f"#define {upper}_HOP {parts.stream.hop}"
        yield f"#define {upper}_WARM_UP {parts.stream.warm_up}"
    for key, value in sorted(parts.metadata.items()):
        if re.fullmatch(r"phiz\.[a-z_]+", key) and re.fullmatch(r"\d{1,9}", value):
            yield f"#define {upper}_{key.removeprefix('phiz.').upper()} {int(value)}"
    if face is not None:
        yield f"#define {upper}_LOOK_AHEAD {round(face.look_ahead_ms * face.sample_rate / 1000)}"
        yield f"#define {upper}_CONTROLS {len(face.controls)}"
        yield f"#define {upper}_BOUNDED {int(face.bounded)} /* whether controls beyond 0 and 1 are to be clipped */"


def _function(parts: Parts) -> Iterator[str]:
    body = [line for step in parts.steps for line in step.lines]
    yield f"{parts.signature} {{"
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
    for port in parts.of("input"):
        if not _named(port.identifier, body):
            yield f"    (void){port.identifier};"
    told: set[str] = set()
    for number, step in enumerate(parts.steps, start=1):
        text = "\n".join(step.lines)
        size = sum(each.size for name, each in parts.tables.items() if name not in told and _named(name, [text]))
        told |= {name for name in parts.tables if _named(name, [text])}
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
        yield f"{_names(parts).removeprefix('extern ')} = {{"
        yield from (f"    {string(name)}," for name in parts.face.controls)
        yield "};"


def _names(parts: Parts) -> str:
    """The declaration of the controls' names."""
    return f"extern const char *const {parts.word}_controls[{parts.word.upper()}_CONTROLS]"


def _named(name: str, lines: list[str]) -> bool:
    pattern = re.compile(rf"\b{re.escape(name)}\b")
    return any(pattern.search(line) for line in lines)
