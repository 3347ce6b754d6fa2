"""Synthetic speech with exact phone times, by espeak-ng's library and its events.

espeak-ng is GPL-3 and comes from the PyPI package ``espeakng-loader``. It runs on the user's machine, and neither it
nor the audio it makes is any part of phiz. The library has one global state, so this module has one entrance.
"""

from __future__ import annotations

import ctypes
import functools
import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from distill.audio import write_wav

SYNCHRONOUS, PHONEME_EVENTS, PHONEME_IPA, DONT_EXIT, UTF8 = 2, 0x1, 0x2, 0x8000, 1
EVENT_END_OF_LIST, EVENT_PHONEME = 0, 7
RATE, PITCH, RANGE = 1, 3, 4  # espeak_SetParameter
TEXT_IPA, SEPARATOR = 0x2, "_"  # espeak_TextToPhonemes
PAUSE = "_"
STOPS = frozenset("pbtdk\u0261c\u025fq\u0294")
SILENCE = 600  # of 32767: espeak-ng's closures are silent but for the echo that some variants add
LONGEST_CLOSURE = 0.15  # seconds
PATH_LIMIT = 120  # espeak-ng copies its data path into a fixed buffer of 160 bytes and appends to it


@dataclass(frozen=True)
class Phone:
    """A phone in IPA (``_`` is a pause) and its time span in seconds."""

    symbol: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """What espeak-ng said: int16 ``samples`` [time] at ``rate`` Hz, and the phones in them, without gaps."""

    samples: NDArray[np.int16]
    rate: int
    phones: tuple[Phone, ...]


class _Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def speak(text: str, voice: str, *, words_a_minute: int = 175, pitch: int = 50, pitch_range: int = 50) -> Speech:
    """Synthesise one text.

    Args:
        text: in the script of the voice's language.
        voice: a language with an optional variant: ``de``, ``en-us+f3``.
        words_a_minute: 80 to 450.
        pitch: 0 to 100 about the voice's own, which is 50.
        pitch_range: 0 (monotone) to 100.

    Raises:
        MissingExtra: the package ``espeakng-loader`` is absent.
        UserError: espeak-ng does not know the voice, or says nothing for this text.
    """
    library, rate, data_path, _ = _library()
    _, _, variant = voice.partition("+")
    # SetVoiceByName rejects an unknown language, but silently ignores an unknown variant.
    unknown = variant and not (data_path / "voices" / "!v" / variant).is_file()
    if unknown or library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise UserError(f"espeak-ng has no voice '{voice}'", fix="use names like 'en-us', 'fr' or 'de+f2'")
    for parameter, value in ((RATE, words_a_minute), (PITCH, pitch), (RANGE, pitch_range)):
        library.espeak_SetParameter(parameter, value, 0)

    chunks: list[NDArray[np.int16]] = []
    marks: list[tuple[int, str]] = []

    def collect(samples: Any, count: int, events: Any) -> int:
        if count > 0 and samples:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16, copy=True))
        for index in range(1 << 20):
            if events[index].type == EVENT_END_OF_LIST:
                break
            if events[index].type == EVENT_PHONEME:
                marks.append((events[index].sample, events[index].id.string.decode("utf-8", "ignore")))
        return 0

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    data = text.encode() + b"\0"
    if library.espeak_Synth(data, len(data), 0, 0, 0, UTF8, None, None) != 0:
        raise UserError(f"espeak-ng could not read the text '{text[:40]}'", where=f"voice {voice}")
    library.espeak_Synchronize()
    samples = np.concatenate([np.zeros(0, np.int16), *chunks])
    phones = _phones(marks, samples, rate)
    if all(phone.symbol == PAUSE for phone in phones):
        raise UserError(f"espeak-ng said nothing for the text '{text[:40]}'", where=f"voice {voice}")
    return Speech(samples, rate, phones)


def phonemes(text: str, voice: str) -> tuple[str, ...] | None:
    """The phones that espeak-ng would say for a text, in IPA without stress; None where it has no such voice.

    Raises:
        MissingExtra: the package ``espeakng-loader`` is absent.
    """
    library = _library()[0]
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        return None
    data = ctypes.create_string_buffer(text.replace("\0", " ").encode("utf-8", "replace") + b"\0\0\0\0")
    place = ctypes.c_void_p(ctypes.addressof(data))
    said: list[str] = []
    while place.value:  # a clause at a time
        say = library.espeak_TextToPhonemes
        say.restype = ctypes.c_char_p
        clause = say(ctypes.byref(place), UTF8, TEXT_IPA | ord(SEPARATOR) << 8) or b""
        said += re.split(f"[ {SEPARATOR}]", clause.decode("utf-8", "ignore"))
    plain = (re.sub(r"\([\w-]*\)|[ˈˌ-]", "", symbol) for symbol in said)  # "(en)": a foreign word
    return tuple(symbol for symbol in plain if any(sign.isalpha() for sign in symbol))


def _phones(marks: list[tuple[int, str]], samples: NDArray[np.int16], rate: int) -> tuple[Phone, ...]:
    """Spans from start marks; espeak-ng marks a stop at its burst, so the silent closure before it is added to it."""
    marks = [(start, symbol) for start, symbol in marks if not symbol.startswith("(")]  # "(en)": a foreign word
    starts = [min(start, len(samples)) for start, _ in marks]
    symbols = [symbol.strip("ˈˌ -") or PAUSE for _, symbol in marks]
    for index in range(1, len(marks)):
        if symbols[index][0] in STOPS and symbols[index - 1] != PAUSE:
            floor = max(starts[index - 1], starts[index] - round(LONGEST_CLOSURE * rate))
            starts[index] = _silence_before(samples, starts[index], floor)
    ends = [*starts[1:], len(samples)]
    return tuple(
        Phone(symbol, round(start / rate, 4), round(end / rate, 4))
        for symbol, start, end in zip(symbols, starts, ends, strict=True)
        if end > start
    )


def _silence_before(samples: NDArray[np.int16], start: int, floor: int) -> int:
    """The first sample of the silence that ends at ``start``, not before ``floor``; ``start`` where there is none."""
    loud = np.flatnonzero(np.abs(samples[floor:start].astype(np.int32)) > SILENCE)
    return floor + int(loud[-1]) + 1 if len(loud) else floor


@functools.cache
def _library() -> tuple[Any, int, Path, Any]:
    """The initialised library, its sample rate, its data, and what must live as long; loaded once per process."""
    try:
        import espeakng_loader
    except ModuleNotFoundError as error:
        raise MissingExtra("synthetic speech", "teacher", "espeakng_loader") from error
    data = Path(espeakng_loader.get_data_path())
    link = None
    if len(str(data)) > PATH_LIMIT:
        link = tempfile.TemporaryDirectory()
        (Path(link.name) / data.name).symlink_to(data)
        data = Path(link.name) / data.name
    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        options = PHONEME_EVENTS | PHONEME_IPA | DONT_EXIT
        rate = int(library.espeak_Initialize(SYNCHRONOUS, 0, str(data).encode(), options))
    except OSError as error:
        raise UserError(f"the espeak-ng library cannot be loaded: {error}", fix="reinstall espeakng-loader") from error
    if rate <= 0:
        raise UserError("espeak-ng cannot read its data", where=str(data), fix="reinstall espeakng-loader")
    return library, rate, data, link


def main(folder: Path) -> None:
    """Speak the JSON lines of standard input, ``{"text": …, "voice": …, …}`` as :func:`speak` takes them.

    Writes ``00000.wav`` and ``00000.json`` (the line plus ``phones``) into ``folder``, and a line to standard output
    after each. espeak-ng's noise depends on all that it said before: a process of its own makes its audio
    repeatable, and keeps a GPL library out of the caller's.
    """
    for index, line in enumerate(sys.stdin):
        item = json.loads(line)
        speech = speak(**item["speak"])
        write_wav(folder / f"{index:05d}.wav", speech.samples, speech.rate)
        item["phones"] = [[phone.symbol, phone.start, phone.end] for phone in speech.phones]
        (folder / f"{index:05d}.json").write_text(json.dumps(item, ensure_ascii=False) + "\n", encoding="utf-8")
        print(index, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
