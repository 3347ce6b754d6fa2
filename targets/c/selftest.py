"""A source's self-test, which is compiled in on request: golden examples are replayed on the machine that matters.

The function stands in ``NAME.c`` and its memory in ``NAME.h``, both only where ``NAME_SELF_TEST`` is defined; the
examples are a third file, ``NAME.golden.h``, which nobody else includes. What to expect of them comes from a reference
that shares no code with the source (``compile/examples.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from string import Template
from typing import TYPE_CHECKING

from targets.base import Artifact, Examples
from targets.c.dissect import companion, golden, understood
from targets.c.interface import Port
from targets.c.library import includes
from targets.c.source import identifier, real, table

if TYPE_CHECKING:
    from targets.c.parts import Parts

_TAKE = Template("""\
        for (int32_t i = 0; i < $elements; ++i) {
            const float number = (float)${word}_golden_$port[test->example * $elements + i];
            test->io.$port[i] = ${word}_unit_$port * number;
        }""")
_COMPARE = Template("""\
        test->output = "$port";
        test->allowed = ${word}_allowed_$port;
        for (test->element = 0; test->element < $elements; ++test->element) {
            test->got = test->io.$port[test->element];
            test->expected = ${word}_golden_$port[test->example * $elements + test->element];
            if (!(test->got - test->expected <= test->allowed && test->expected - test->got <= test->allowed))
                return 1; /* so it does where it is no number */
        }""")


def prove(artifact: Artifact, examples: Examples) -> Artifact:
    """The artefact with examples for its self-test."""
    stem, header = artifact.name.removesuffix(".c"), companion(artifact.name)
    source, head = (artifact.files[name].decode("ascii") for name in (artifact.name, header))
    found = understood(artifact.name, source, head)
    text = "\n".join(_examples(stem, found.ports, examples, found.streams))
    text = "".join([*(f"#include <{header}>\n" for header in includes(text)), text])
    return replace(artifact, files={**artifact.files, golden(artifact.name): text.encode("ascii")})


def _examples(stem: str, ports: tuple[Port, ...], examples: Examples, streams: bool) -> Iterator[str]:
    word = identifier(stem)
    kind = "hops, from the reset on" if streams else "windows"
    yield f"/* {stem}: {examples.count} golden {kind}, for {stem}.c where {word.upper()}_SELF_TEST is defined."
    yield " *"
    yield " * Inputs are whole numbers times a power of two, which float32 holds exactly. What to expect of them comes"
    yield " * from onnxruntime, which executes the quantised graph; the source has no part in it. */"
    yield f"enum {{ {word}_examples = {examples.count} }};"
    yield ""
    for port in ports:
        if port.kind == "input":
            yield f"static const float {word}_unit_{port.identifier} = {real(examples.units[port.name])};"
            yield table(f"{word}_golden_{port.identifier}", "int16_t", examples.inputs[port.name])
    for port in ports:
        if port.kind == "output":
            allowed = float(f"{examples.allowed[port.name]:.7g}")
            yield f"static const float {word}_allowed_{port.identifier} = {real(allowed)};"
            yield table(f"{word}_golden_{port.identifier}", "float", examples.outputs[port.name])


def declaration(parts: Parts) -> Iterator[str]:
    """The self-test's memory and function, for the header."""
    word, upper = parts.word, parts.word.upper()
    example = "window" if parts.stream is None else "hop since the reset"
    yield ""
    yield f"#ifdef {upper}_SELF_TEST /* which {parts.name}.c must know of, too */"
    yield "/* All memory that a self-test needs, and the answer that it stopped at. */"
    yield f"typedef struct {word}_test {{"
    yield f"    {word}_{parts.memory} {parts.memory};"
    yield "    struct {"
    yield from (f"        float {each.identifier}[{each.elements}];" for each in parts.ports if each.kind != "state")
    yield "    } io;"
    yield "    const char *output; /* by its name above */"
    yield f"    int32_t example, element; /* number of the {example}, and place in the output */"
    yield "    float got, expected, allowed; /* `got` is more than `allowed` from `expected` */"
    yield f"}} {word}_test;"
    yield ""
    yield "/* 0: all golden examples are answered as the reference answers them. 1: one is not, and `test` says which."
    if parts.weights is not None:
        yield f" * 2: {word}_weights_ok refuses the weights."
    yield " * What is in `test` before does not matter. */"
    yield f"{_signature(parts)};"
    yield "#endif"


def definition(parts: Parts) -> Iterator[str]:
    """The self-test, for the source."""
    word, inputs, outputs = parts.word, parts.of("input"), parts.of("output")
    mapped, streams = parts.weights is not None, parts.stream is not None
    given = [f"&test->{parts.memory}", *(["weights"] if mapped else [])]
    given += [f"test->io.{port.identifier}" for port in (*inputs, *outputs)]
    yield ""
    yield f"#ifdef {word.upper()}_SELF_TEST"
    yield f'#include "{parts.name}.golden.h"'
    yield ""
    yield f"{_signature(parts)} {{"
    if mapped:
        yield f"    if (!{word}_weights_ok(weights, size)) return 2;"
    if streams:
        yield f"    {word}_reset(&test->state);"
    yield f"    for (test->example = 0; test->example < {word}_examples; ++test->example) {{"
    for port in inputs:
        yield _TAKE.substitute(word=word, port=port.identifier, elements=port.elements)
    yield f"        {parts.function}({', '.join(given)});"
    for port in outputs:
        yield _COMPARE.substitute(word=word, port=port.identifier, elements=port.elements)
    yield "    }"
    yield "    return 0;"
    yield "}"
    yield "#endif"


def _signature(parts: Parts) -> str:
    more = ", const void *weights, size_t size" if parts.weights is not None else ""
    return f"int {parts.word}_self_test({parts.word}_test *test{more})"
