"""The ``.h`` file: how a program calls what was lowered."""

from __future__ import annotations

import re
from collections.abc import Iterator

from targets.c import selftest, weights
from targets.c.parts import Parts


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
        *(["#include <stddef.h>"] if parts.weights is not None else []),
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
        *weights.declaration(parts),
        "",
        "/* Keys and values in turn, and a null pointer at the end. */",
        f"extern const char *const {word}_metadata[];",
    ]
    if parts.face is not None:
        lines += ["/* Names of what it moves, in their order. */", f"extern {parts.names};"]
    lines += selftest.declaration(parts)
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
