"""``phiz compile --target c`` from the outside, with a C compiler and without one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from targets.c.run import COMPILERS


@pytest.fixture
def arrays(tmp_path, noise):
    np.savez(tmp_path / "calibration.npz", x=noise(60, 512))
    return tmp_path / "calibration.npz"


def test_a_window_and_a_stream(phiz, tiny_path, arrays, tmp_path):
    if not any(shutil.which(name) for name in COMPILERS):
        pytest.skip("there is no C compiler")
    out = tmp_path / "out"
    ran = phiz("compile", tiny_path, "-t", "onnx", "-t", "c", "--stream", "--calibrate", arrays, "-o", out)
    assert ran.code == 0, ran.err
    windows, hops = ({f"student{form}{suffix}" for suffix in (".c", ".h", ".golden.h")} for form in ("", ".stream"))
    assert windows | hops < {path.name for path in out.iterdir()}
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["artifacts"]["c+stream"]["files"]) == hops
    for target in ("c", "c+stream"):
        assert manifest["parity"][target]["status"] == "run"
        assert manifest["parity"][target]["steps"] <= 1
    assert manifest["parity"]["c"]["steps_from"]["c+stream"] < 1e-3  # the same integers
    assert phiz("audit", out).code == 0
    assert phiz("audit", out / "student.stream.c").code == 0
    # A header that was changed is not what the manifest says; a build folder of phiz may be replaced.
    (out / "student.h").write_text((out / "student.h").read_text() + "\n")
    assert phiz("audit", out).code == 1
    assert phiz("compile", tiny_path, "-t", "c", "--calibrate", arrays, "-o", out).code == 0


MAIN = """
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "{name}.h"
static {word}_test test;
int main(int count, char **files) {{
    struct stat about = {{0}};
    const int file = count > 1 ? open(files[1], O_RDONLY) : -1;
    void *weights = 0;
    if (file >= 0 && !fstat(file, &about)) weights = mmap(0, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    (void)weights;
    const int said = {word}_self_test({arguments});
    printf("%d of %d", said, (int)test.example);
    return 0;
}}
"""


@pytest.mark.skipif(os.name != "posix", reason="files are mapped otherwise")
def test_self_tests_with_mapped_weights_and_without(phiz, tiny_path, arrays, tmp_path):
    """As the documentation says, under the sanitizers where there are any; of each target, a window and a stream."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        pytest.skip("there is no C compiler")
    out = tmp_path / "out"
    targets = ("-t", "c", "-t", "c:mapped", "--stream")
    ran = phiz("compile", tiny_path, *targets, "--calibrate", arrays, "-o", out)
    assert ran.code == 0, ran.err
    assert phiz("audit", out).code == 0
    sane = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    probe = [compiler, *sane, "-x", "c", "-", "-o", tmp_path / "none"]
    if subprocess.run(probe, input=b"int main(void) { return 0; }", capture_output=True, check=False).returncode:
        sane = ()
    for name in ("student", "student.stream", "student.mapped", "student.stream.mapped"):
        word, mapped = name.replace(".", "_"), name.endswith("mapped")
        arguments = "&test, weights, (size_t)about.st_size" if mapped else "&test"
        (tmp_path / "main.c").write_text(MAIN.format(name=name, word=word, arguments=arguments))
        sources = [out / f"{name}.c", tmp_path / "main.c"]
        flags = ["-std=gnu99", "-Wall", "-Wextra", "-Wconversion", "-Werror", *sane, f"-D{word.upper()}_SELF_TEST"]
        program = tmp_path / word
        subprocess.run([compiler, *flags, f"-I{out}", *sources, "-lm", "-o", program], check=True)

        def said(*files, program=program):
            return subprocess.run([program, *files], capture_output=True, check=True, text=True).stdout

        count = re.search(r"_examples = (\d+)", (out / f"{name}.golden.h").read_text())[1]
        assert int(count) > (20 if "stream" in name else 1)
        assert said(*([out / f"{name}.bin"] if mapped else [])) == f"0 of {count}"
        if mapped:
            damaged = bytearray((out / f"{name}.bin").read_bytes())
            damaged[-1] ^= 1
            (tmp_path / "other.bin").write_bytes(damaged)
            assert said(tmp_path / "other.bin") == "2 of 0"
            assert said() == "2 of 0"
    # What is not its own is no pass of an audit either, nor are examples that were changed.
    (out / "student.mapped.bin").write_bytes(damaged)
    assert phiz("audit", out / "student.mapped.c").code == 2
    (out / "student.golden.h").write_text((out / "student.golden.h").read_text() + "\n")
    ran = phiz("audit", out)
    assert ran.code == 1
    assert "'student.golden.h' has" in ran.out


BROKEN = "the C compiler cannot even compile an empty program"


@pytest.mark.parametrize("reason", ["no C compiler", f"fake: {BROKEN}"])
def test_without_a_compiler(phiz, tiny_path, arrays, tmp_path, monkeypatch, reason):
    if BROKEN in reason:
        (tmp_path / "fake").write_text("#!/bin/sh\necho 'fatal error: math.h: no such file' >&2\nexit 1\n")
        (tmp_path / "fake").chmod(0o755)
        monkeypatch.setenv("CC", str(tmp_path / "fake"))
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CC", raising=False)
    ran = phiz("compile", tiny_path, "-t", "c", "--calibrate", arrays, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["parity"]["c"]["status"].startswith(f"not run: {reason}")
    assert phiz("audit", tmp_path / "out/student.c").code == 0
    asked = phiz(
        "compile", tiny_path, "-t", "c", "--min-sqnr", "10 dB", "--calibrate", arrays, "-o", tmp_path / "other"
    )
    assert asked.code == 1
    assert f"parity was asked for but not run: {reason}" in asked.out + asked.err
    assert not (tmp_path / "other").exists()
