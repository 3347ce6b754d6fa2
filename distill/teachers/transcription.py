"""What a text sounds like, by espeak-ng's rules for its language."""

from __future__ import annotations

import re
from collections.abc import Mapping

from compile.errors import UserError
from distill.corpus import espeak

# What corpora call a language, where espeak-ng calls it otherwise; for the rest, es-UY is es where there is no es-uy.
VOICES: Mapping[str, str] = {
    "en": "en-us",
    "zh": "cmn",
    "zh-hk": "yue",
    "no": "nb",
    "iw": "he",
    "es-mx": "es-419",
    "es-co": "es-419",
    "es-ar": "es-419",
    "pt-br": "pt-br",
    "fr-ca": "fr",
    "en-uk": "en-gb",
}
CODE = re.compile("[a-z]{2,3}(-[a-z0-9]{2,8})*")
MOST_LETTERS = 4000  # of a text; nobody says more in half a minute


def transcribe(text: str, language: str) -> tuple[str, ...]:
    """The phones of a text in IPA, in order, without stress; none where it has nothing to say.

    Args:
        text: in the script of the language; figures are read out.
        language: a code as ``de``, ``pt_BR`` or ``en-US``.

    Raises:
        UserError: espeak-ng does not know the language, or the text is too long to be that of one utterance.
        MissingExtra: the package ``espeakng-loader`` is absent.
    """
    if len(text) > MOST_LETTERS:
        raise UserError(f"a text of {len(text):,} letters is longer than one utterance can be")
    if not any(sign.isalnum() for sign in text):
        return ()  # espeak-ng would read out the punctuation
    code = language.lower().replace("_", "-")
    names = [code, code.partition("-")[0]] if CODE.fullmatch(code) else []
    for name in names:
        if (phones := espeak.phonemes(text, VOICES.get(name, name))) is not None:
            return phones
    raise UserError(f"espeak-ng does not know the language '{language}'", fix="use codes like 'en', 'fr' or 'pt-br'")
