"""A C source, compiled to be measured: a library of it, and a program that loads the library and calls it.

The library is loaded as it runs and not linked in, for else the system would bring tables of weights into memory along
with the program's own pages, before anybody counts.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from string import Template
from typing import Any

from compile.audit.process import FIRST, IMPORTED, LAST, LOADED, MAX_MEMORY, SMAPS, accounted
from targets.c import weights
from targets.c.dissect import Source, companion
from targets.c.interface import Port
from targets.c.run import FLAGS, build, read
from targets.c.source import identifier

PROGRAM, LIBRARY = "program", "student.so"
_STEP = "phiz step "
_AS_LIBRARY = (*FLAGS, "-nostartfiles")  # without the code that compilers add to every library
_AS_PROGRAM = ("-std=gnu99", "-Wl,--no-as-needed", "-ldl")
_MAIN = Template("""\
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "$header"

#if defined(__clang__)
#define COMPILER "clang %d.%d.%d\\n", __clang_major__, __clang_minor__, __clang_patchlevel__
#elif defined(__GNUC__)
#define COMPILER "gcc %d.%d.%d\\n", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__
#else
#define COMPILER "a C compiler\\n"
#endif
#define FUNCTION(name) ((__typeof__(&name))dlsym(library, #name))

static int answers;

static void tell(const char *step) {
    char text[4096];
    ssize_t size;
    const int lines = open("$smaps", O_RDONLY);
    dprintf(answers, "$mark%s ", step);
    dprintf(answers, COMPILER);
    while ((size = read(lines, text, sizeof text)) > 0)
        if (write(answers, text, (size_t)size) != size) exit(1);
    close(lines);
}

int main(int words, char **given) { /* a library, how often to call it, and a file of weights */
    const struct rlimit none = {0, 0}, most = {${most}u, ${most}u};
    const int calls = atoi(given[2]), nowhere = open("/dev/null", O_WRONLY);
    struct {
        $memory memory;
$arrays
    } *const own = mmap(0, sizeof *own, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const void *weights = 0;
    uint32_t noise = 1;
    void *library;
    (void)words;
    answers = dup(1);
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_AS, &most);
    dlopen("libm.so.6", RTLD_NOW); /* what loading and telling take is taken before it counts */
    tell("before");
    tell("$imported");
    library = dlopen(given[1], RTLD_NOW);
    if (!library || own == MAP_FAILED) return 1;
$load
    tell("$loaded");
$noise
    $call
    tell("$first");
    for (int i = 1; i < calls; ++i) $call
    tell("$last");
    return 0;
}
""")
_WEIGHTS = Template("""\
    weights = mmap(0, $size, PROT_READ, MAP_PRIVATE, open(given[3], O_RDONLY), 0);
    if (weights == MAP_FAILED || !FUNCTION(${word}_weights_ok)(weights, $size)) return 1;""")
_NOISE = Template("""\
    for (int i = 0; i < $elements; ++i) { /* in [-1, 1) */
        noise = noise * 1664525u + 1013904223u;
        own->$array[i] = ($ctype)((float)(int32_t)noise / 2147483648.0f);
    }""")


def program(path: Path, folder: Path, inferences: int, seconds: float) -> list[str]:
    """Compile the source at ``path`` into ``folder``, with the flags of docs/c.md.

    Returns:
        The command that runs it, in that folder; :func:`steps` reads what it says.

    Raises:
        MissingTool: there is no C compiler that works.
        UserError: it refuses the source or takes too long.
    """
    _, found = read(path)
    text = _main(identifier(path.stem), companion(path.name), found)
    (folder / "main.c").write_bytes(os.fsencode(text))  # it names a file
    build(path, folder / LIBRARY, _AS_LIBRARY, seconds)
    build(folder / "main.c", folder / PROGRAM, (*_AS_PROGRAM, f"-I{path.parent.absolute()}"), seconds)
    mapped = [str(path.with_name(weights.companion(path.name)).absolute())] if found.weights else []
    return [str(folder / PROGRAM), f"./{LIBRARY}", str(inferences), *mapped]


def _main(word: str, header: str, found: Source) -> str:
    ports = [port for port in found.ports if port.kind != "state"]
    arguments = ["&own->memory", *(["weights"] if found.weights else []), *(f"own->{_array(port)}" for port in ports)]
    function = f"{word}_{'push_hop' if found.streams else 'window'}"
    load = [f"    __typeof__(&{function}) const compute = FUNCTION({function});"]
    if found.weights:
        load.append(_WEIGHTS.substitute(word=word, size=found.weights))
    if found.streams:
        load.append(f"    FUNCTION({word}_reset)(&own->memory);")
    return _MAIN.substitute(
        header=header,
        smaps=SMAPS,
        mark=_STEP,
        most=MAX_MEMORY,
        memory=f"{word}_{'state' if found.streams else 'scratch'}",
        arrays="\n".join(f"        {port.ctype} {_array(port)}[{port.elements}];" for port in ports),
        load="\n".join(load),
        noise="\n".join(
            _NOISE.substitute(elements=port.elements, array=_array(port), ctype=port.ctype)
            for port in ports
            if port.kind == "input"
        ),
        call=f"compute({', '.join(arguments)});",
        imported=IMPORTED,
        loaded=LOADED,
        first=FIRST,
        last=LAST,
    )


def _array(port: Port) -> str:
    return f"io_{port.identifier}"


def steps(said: bytes, folder: Path) -> dict[str, Any]:
    """What the program in ``folder`` told, by step, as a runtime's process tells it."""
    found: dict[str, Any] = {}
    try:
        for told in said.decode(errors="replace").split(_STEP)[1:]:
            first, *lines = told.splitlines()
            step, _, compiler = first.partition(" ")
            everything, code = accounted(lines, str(folder.resolve() / LIBRARY))
            found[step] = {"resident": everything, "code": code, "runtime": compiler}
    except (ValueError, LookupError):  # a source can write where the program does
        found["error"] = "what it says cannot be read"
    return found


def machine_code(folder: Path) -> int | None:
    """Bytes of machine code in the library that :func:`program` made: ELF's ``.text``, by the System V ABI.

    None where there is no library, or it does not tell.
    """
    try:
        data = (folder / LIBRARY).read_bytes()
        wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
        (table,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", data, 40 if wide else 32)
        each, count, last = struct.unpack_from(f"{order}3H", data, 58 if wide else 46)
        fields = f"{order}{'2I4Q' if wide else '6I'}"  # name, type, flags, address, offset, size
        sections: list[tuple[int, ...]] = [struct.unpack_from(fields, data, table + each * at) for at in range(count)]
        names = sections[last][4]
    except (OSError, IndexError, struct.error):
        return None
    return sum(section[5] for section in sections if data.startswith(b".text\0", names + section[0]))
