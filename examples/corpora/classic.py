"""Flite, Festival and Open JTalk, as Debian has them: programs that tell when each of their phones ends."""

from __future__ import annotations

import importlib.util
import random
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from compile.errors import UserError
from distill import wav
from distill.corpus.espeak import Phone, Speech
from examples.corpora import signs
from examples.corpora.tables import Voice

DICTIONARY = "/var/lib/mecab/dic/open-jtalk/naist-jdic"


def flite(voice: Voice, text: str, code: str, draw: random.Random) -> Speech:  # noqa: ARG001 - one language a voice
    """``flite -psdur`` prints its phones, each with its end."""
    stretch = round(draw.uniform(0.85, 1.25), 3)
    feature, reach = ("f0_shift", "shift") if "shift" in voice.options else ("int_f0_target_mean", "mean")
    pitch = round(draw.uniform(*voice.options[reach]), 3)
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "said.wav")
        manner = ["--setf", f"duration_stretch={stretch}", "--setf", f"{feature}={pitch}"]
        marks = _run(["flite", "-voice", voice.options["voice"], "-psdur", *manner, "-t", text, "-o", str(said)])
        ends = [(name, float(end)) for name, _, end in (mark.rpartition(":") for mark in marks.split())]
        return _speech(said, phones(ends, signs.phones("english")))


def festival(voice: Voice, text: str, code: str, draw: random.Random) -> Speech:  # noqa: ARG001 - one language a voice
    """A script in Scheme has it save the wave and the segments."""
    with tempfile.TemporaryDirectory() as folder:
        said, segments, script = Path(folder, "said.wav"), Path(folder, "said.segs"), Path(folder, "say.scm")
        lines = [f"({voice.options['voice']})", f"(Parameter.set 'Duration_Stretch {draw.uniform(0.85, 1.2):.3f})"]
        if "mean" in voice.options:
            mean, spread = draw.uniform(*voice.options["mean"]), draw.uniform(8, 22)
            targets = f"(target_f0_mean {mean:.1f}) (target_f0_std {spread:.1f})"
            lines.append(f"(set! int_lr_params '({targets} (model_f0_mean 170) (model_f0_std 34)))")
        quoted = text.replace("\\", "").replace('"', "")
        lines.append(f'(set! utt (utt.synth (Utterance Text "{quoted}")))')
        lines += [f'(utt.save.wave utt "{said}")', f'(utt.save.segs utt "{segments}")']
        script.write_text("\n".join(lines), encoding="utf-8")
        _run(["festival", "-b", str(script)])
        marks = [line.split() for line in segments.read_text(encoding="utf-8").splitlines() if line and line != "#"]
        return _speech(
            said, phones([(mark[2], float(mark[0])) for mark in marks], signs.phones(voice.options["phones"]))
        )


def open_jtalk(voice: Voice, text: str, code: str, draw: random.Random) -> Speech:  # noqa: ARG001 - it speaks Japanese
    """Its trace has full-context labels, with their ends in units of 100 ns."""
    package, _, model = voice.options["voice"].partition("/")
    with tempfile.TemporaryDirectory() as folder:
        said, trace, source = Path(folder, "said.wav"), Path(folder, "trace"), Path(folder, "text")
        source.write_text(text + "\n", encoding="utf-8")
        command = ["open_jtalk", "-x", DICTIONARY, "-m", str(installed(package) / model), "-s", "48000"]
        command += ["-r", f"{draw.uniform(0.85, 1.25):.3f}", "-fm", f"{draw.uniform(-3, 2):.2f}"]
        _run([*command, "-ow", str(said), "-ot", str(trace), str(source)])
        labels = re.findall(r"^\d+ (\d+) \S+?-(\w+)\+", trace.read_text(encoding="utf-8"), re.M)
        return _speech(said, phones([(name, int(end) / 1e7) for end, name in labels], signs.phones("japanese")))


def phones(ends: Iterable[tuple[str, float]], table: Mapping[str, str]) -> tuple[Phone, ...]:
    """Phones of names and ends in seconds; a name that the table lacks loses its stress digits first."""
    found, start = [], 0.0
    for name, end in ends:
        symbol = table.get(name) or table.get(re.sub(r"\d", "", name)) or name
        if end > start:
            found.append(Phone(symbol, round(start, 4), round(end, 4)))
        start = end
    return tuple(found)


def installed(package: str) -> Path:
    """Folder of a Python package that brings a voice along.

    Raises:
        UserError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(f"the Python package {package} is not installed", fix="see examples/corpora/README.md")
    return Path(spec.origin).parent


def _speech(path: Path, marks: tuple[Phone, ...]) -> Speech:
    read = wav.read(path)
    if read is None:
        raise UserError("the synthesizer wrote no 16-bit WAV")
    samples, rate = read
    return Speech((samples * 32768).round().astype("<i2"), rate, marks)


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError as error:
        raise UserError(f"there is no {command[0]} here", fix="see examples/corpora/README.md") from error
    except subprocess.CalledProcessError as error:
        raise UserError(f"{command[0]} failed: {error.stderr.strip()[-200:]}") from error
