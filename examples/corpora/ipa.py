"""IPA of a text, by espeak-ng."""

from __future__ import annotations

import ctypes
import re

from compile.errors import UserError
from distill.corpus.espeak import _library  # espeak-ng is initialised once a process

VOICES = {"en-gb": "en", "pt": "pt-br"}
CLAUSE = re.compile(r"([^,.;:?!।¿]+)([,.;:?!।]*)")
IPA, TIE = 0x02, 0x80  # phoneme modes of espeak-ng


def ipa(text: str, code: str, tie: str = "") -> str:
    """IPA with stresses, clause by clause, each with its punctuation; ``tie`` joins letters of one sound.

    Raises:
        UserError: espeak-ng has no such language.
        MissingExtra: ``espeakng-loader`` is not installed.
    """
    library, clauses = _library()[0], []
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    if library.espeak_SetVoiceByName(VOICES.get(code, code).encode()) != 0:
        raise UserError(f"espeak-ng does not speak '{code}'")
    mode = IPA | (TIE | ord(tie) << 8 if tie else 0)
    for clause, mark in CLAUSE.findall(text):
        rest, said = ctypes.c_char_p(clause.encode()), []
        while rest.value:
            said.append(library.espeak_TextToPhonemes(ctypes.byref(rest), 1, mode).decode())
        plain = re.sub(r"\([a-z-]+\)", "", " ".join(said)).strip()  # without "(en)…(fr)" around foreign words
        clauses.append(plain + (mark[:1].replace("।", ".") or "."))
    return " ".join(clauses)
