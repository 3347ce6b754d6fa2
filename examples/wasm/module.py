"""The face as a WebAssembly module: C by clang, without a standard library and without Emscripten."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from compile.errors import MissingTool, UserError

HERE = Path(__file__).parent
SOURCES = (HERE / "module.c", HERE / "libc" / "libc.c", HERE.parent / "c" / "face.c")
STUDENT = "student.stream.c"
# SIMD and bulk memory: every browser since 2023. `-fno-math-errno` makes a square root one instruction.
FLAGS = (
    *("--target=wasm32", "-std=c99", "-O3", "-fno-math-errno", "-msimd128", "-mbulk-memory"),
    *("-nostdlib", "-nostdlibinc", "-isystem", str(HERE / "libc"), "-I", str(HERE.parent / "c")),
    *("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=65536"),
)
_SECONDS = 600


def build(student: Path) -> bytes:
    """The module of the student in a folder.

    Args:
        student: that ``phiz compile … --target c --stream`` wrote; holds ``student.stream.c`` and ``.h``.

    Raises:
        MissingTool: there is no clang, or no linker for WebAssembly.
        UserError: there is no such student, or clang refuses it.
    """
    source = student / STUDENT
    if not source.is_file():
        fix = "write it: phiz compile phiz:tiny --calibrate SPEECH --target c --stream -o build/c"
        raise UserError(f"it holds no {STUDENT}", where=str(student), fix=fix)
    with TemporaryDirectory(prefix="phiz-") as folder:
        module = Path(folder, "face.wasm")
        command = [_clang(), *FLAGS, "-I", str(student), *map(str, (*SOURCES, source)), "-o", str(module)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode:
            if "wasm-ld" in done.stderr:
                raise MissingTool("clang finds no linker for WebAssembly", fix="install lld, such as: apt install lld")
            reason = next((line for line in done.stderr.splitlines() if "error" in line), "it says nothing")
            raise UserError(f"clang refuses it: {reason.strip()}", where=str(source))
        return module.read_bytes()


def _clang() -> str:
    """What $CLANG says, else ``clang``."""
    named = os.environ.get("CLANG", "clang")
    if found := shutil.which(named):
        return found
    raise MissingTool(f"no {named}", fix="install clang and lld, such as: apt install clang lld; or name one in $CLANG")
