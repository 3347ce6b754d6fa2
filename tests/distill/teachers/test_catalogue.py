"""Teachers by name, teachers of the user's own, and teachers that are late."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from compile.errors import MissingExtra, UserError
from distill import audio
from distill.corpus import sources as corpus
from distill.corpus.espeak import Phone
from distill.teachers.base import Utterance, evidence
from distill.teachers.catalogue import open_teacher
from distill.teachers.phonetic import PhoneticTeacher

TEACHERS = '''
import sys
import numpy as np
from compile.errors import MissingExtra, UserError

class Level:
    """As a user would write it: loudness opens the jaw."""
    name, version, controls = "level", "7", ["jaw"]
    def curves(self, utterance):
        padded = np.pad(utterance.audio, (0, -len(utterance.audio) % 320))
        return np.sqrt(np.mean(padded.reshape(-1, 320) ** 2, axis=1, dtype=np.float64))[:, None]

class Curious(Level):
    def evidence(self, path): return f"looked at {path}"
class Clumsy(Level):
    def evidence(self, path): raise OSError("no such mood")
class Nameless(Level): name = ""
class Numbered(Level): version = 3
class Twice(Level): controls = ("a", "a")
class Text(Level): controls = "jaw"
class Anonymous(Level): controls = ("a", "")
class Mute(Level): curves = "none"
class Shy(Level):
    @property
    def controls(self): raise RuntimeError("not ready")
class Bare: pass

class Says(Level):
    def __init__(self, what): self.what = what
    def curves(self, utterance):
        if isinstance(self.what, BaseException): raise self.what
        return self.what

def level(): return Level()
def curious(): return Curious()
def clumsy(): return Clumsy()
def nameless(): return Nameless()
def numbered(): return Numbered()
def twice(): return Twice()
def text(): return Text()
def anonymous(): return Anonymous()
def mute(): return Mute()
def shy(): return Shy()
def bare(): return Bare()
def nothing(): return None
def kind(): return Level
def fails(): raise RuntimeError("no weights\\nhere")
def leaves(): sys.exit(0)
def refuses(): raise UserError("the licence is missing", where="my/weights")
def absent(): raise MissingExtra("my teacher", "mine", "mine")

def raises(): return Says(ValueError("bad luck"))
def quits(): return Says(SystemExit(0))
def skips(): return Says(UserError("too loud", where="here"))
def short(): return Says(np.zeros((9, 1), np.float32))
def wide(): return Says(np.zeros((10, 2), np.float32))
def words(): return Says(np.array([["x"]] * 10))
def objects(): return Says(np.array([[None]] * 10))
def ragged(): return Says([[1.0], [1.0, 2.0]])
def nan(): return Says(np.full((10, 1), np.nan))
def vast(): return Says(np.full((10, 1), 1e300))
def listed(): return Says([[0.25]] * 10)
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module of teachers in it."""
    (tmp_path / "my_teachers.py").write_text(TEACHERS)
    (tmp_path / "broken_teachers.py").write_text("import a_library_that_nobody_has")
    (tmp_path / "leaving_teachers.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])  # as for an installed command
    yield tmp_path
    for name in ("my_teachers", "broken_teachers", "leaving_teachers"):
        sys.modules.pop(name, None)


SPOKEN = Utterance(np.full(3200, 0.5, np.float32), path=Path("speech/one.wav"))


def test_a_teacher_of_the_users_own(here: Path) -> None:
    teacher = open_teacher("my_teachers:level")
    assert (teacher.name, teacher.version, teacher.controls) == ("level", "my_teachers:level 7", ("jaw",))
    curves = teacher.curves(SPOKEN)
    assert curves.dtype == np.float32
    np.testing.assert_allclose(curves, np.full((10, 1), 0.5), atol=1e-6)
    assert evidence(teacher, Path("a.wav")) == ""
    assert evidence(open_teacher("my_teachers:curious"), Path("a.wav")) == "looked at a.wav"
    np.testing.assert_array_equal(open_teacher("my_teachers:listed").curves(SPOKEN), np.full((10, 1), 0.25))


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("my_teachers:unknown", "module 'my_teachers' has no 'unknown'"),
        ("no_teachers:level", "no Python module 'no_teachers'"),
        ("broken_teachers:level", "importing it fails: No module named 'a_library_that_nobody_has'"),
        ("leaving_teachers:level", "importing it fails: 0"),
        ("my_teachers:nameless", "the teacher's 'name' is the str '', not a text"),
        ("my_teachers:numbered", "the teacher's 'version' is the int '3', not a text"),
        ("my_teachers:twice", "'controls' must be different names"),
        ("my_teachers:text", "'controls' must be different names"),
        ("my_teachers:anonymous", "'controls' must be different names"),
        ("my_teachers:shy", "'controls' raises RuntimeError: not ready"),
        ("my_teachers:mute", "no teacher; a teacher has name, version, controls and curves"),
        ("my_teachers:bare", "the factory returned the Bare .* no teacher"),
        ("my_teachers:nothing", "the factory returned None, no teacher"),
        ("my_teachers:kind", "the factory returned the type .*, no teacher"),
        ("my_teachers:fails", "the factory raises RuntimeError: no weights$"),
        ("my_teachers:leaves", "the factory raises SystemExit: 0"),
        ("my_teachers:refuses", "^my/weights: the licence is missing$"),
    ],
)
def test_factories_that_make_no_teacher(here: Path, factory: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_teacher(factory)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("raises", r"speech/one\.wav: the teacher 'level' raises ValueError: bad luck"),
        ("quits", r"speech/one\.wav: the teacher 'level' raises SystemExit"),
        ("skips", "^here: too loud$"),
        ("short", r"speech/one\.wav: .* gave float32 \[9, 1\] where float32 \[10, 1\] was due"),
        ("wide", r"gave float32 \[10, 2\]"),
        ("words", r"gave <U1 \[10, 1\]"),
        ("objects", r"gave object \[10, 1\]"),
        ("ragged", "raises ValueError"),
        ("nan", r"speech/one\.wav: .* NaN or infinite"),
        ("vast", "NaN or infinite"),
    ],
)
def test_what_a_teacher_says_is_held_to_the_contract(here: Path, factory: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_teacher(f"my_teachers:{factory}").curves(SPOKEN)


def test_a_clumsy_teachers_evidence(here: Path) -> None:
    with pytest.raises(UserError, match=r"a\.wav: the teacher 'level' raises OSError: no such mood"):
        evidence(open_teacher("my_teachers:clumsy"), Path("a.wav"))
    with pytest.raises(MissingExtra, match=r"pip install 'phiz\[mine\]'"):
        open_teacher("my_teachers:absent")


@pytest.mark.parametrize(
    ("name", "path", "offset", "message"),
    [
        ("phonetics", None, 0.0, "unknown teacher 'phonetics'; choose from: phonetic, audio2face, hubert, curves"),
        ("", None, 0.0, "unknown teacher ''"),
        ("phonetic", Path("x"), 0.0, "--teacher-path: the teacher 'phonetic' has no files"),
        ("my_teachers:level", Path("x"), 0.0, "has no files"),
        ("audio2face", None, 0.0, "needs its folder; name it with --teacher-path"),
        ("hubert", None, 0.0, "needs its folder"),
        ("audio2face", Path("absent"), 0.0, "absent/network.onnx: there is no such file"),
        ("phonetic", None, math.nan, "--offset: nan seconds are no offset"),
        ("phonetic", None, 11.0, "--offset: 11.0 seconds are no offset; give at most 10"),
    ],
)
def test_what_cannot_be_opened(here: Path, name: str, path: Path | None, offset: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_teacher(name, path, offset)


@pytest.mark.parametrize("offset", [0.06, -0.06])
def test_what_is_late_is_moved_back(offset: float, spoken: list[corpus.Source]) -> None:
    sound = audio.decode(spoken[0].path)
    late = PhoneticTeacher()
    plain = late.curves(Utterance(sound, spoken[0].phones))
    moved = open_teacher("phonetic", None, offset)
    assert moved.version != late.version
    shifted = moved.curves(Utterance(sound, spoken[0].phones))
    frames = round(offset * 50)
    inner = slice(30, len(plain) - 30)  # what is cut off at an end is felt up to 0.4 s away
    np.testing.assert_allclose(shifted[inner], np.roll(plain, -frames, axis=0)[inner], atol=0.02)


def test_moved_phones_stay_within_the_speech() -> None:
    heard: list[Utterance] = []

    class Ear:
        name, version, controls = "ear", "1", ("a",)

        def curves(self, utterance: Utterance) -> np.ndarray:
            heard.append(utterance)
            return np.zeros((1, 1), np.float32)

    from distill.teachers.shifted import ShiftedTeacher

    phones = (Phone("a", 0.0, 0.1), Phone("b", 0.1, 0.3), Phone("c", 0.3, 0.5))
    utterance = Utterance(np.arange(8000, dtype=np.float32), phones, Path("a.wav"), 4.0)
    for offset in (0.2, -0.2, 0.6):
        ShiftedTeacher(Ear(), offset).curves(utterance)
    late, early, gone = heard
    np.testing.assert_array_equal(late.audio, np.pad(utterance.audio[3200:], (0, 3200)))
    np.testing.assert_array_equal(early.audio, np.pad(utterance.audio[:-3200], (3200, 0)))
    assert gone.audio.max() == 0
    assert len(gone.audio) == 8000
    assert late.phones is not None
    assert [phone.symbol for phone in late.phones] == ["b", "c"]
    np.testing.assert_allclose([(phone.start, phone.end) for phone in late.phones], [(0, 0.1), (0.1, 0.3)])
    assert (late.start, early.start, late.path) == (4.2, 3.8, Path("a.wav"))


DOCS = Path(__file__).parents[3] / "docs/teachers.md"


def block(language: str) -> str:
    """The first block of code in docs/teachers.md that is in a language."""
    return DOCS.read_text(encoding="utf-8").split(f"```{language}\n")[1].split("```")[0]


def test_the_documents_own_teacher(here: Path) -> None:
    (here / "my_teachers.py").write_text(block("python"))
    teacher = open_teacher("my_teachers:teacher")
    assert (teacher.name, teacher.controls) == ("loudness", ("jawOpen",))
    np.testing.assert_allclose(teacher.curves(SPOKEN), np.full((10, 1), 0.5), atol=1e-6)
    assert teacher.curves(Utterance(np.zeros(321, np.float32))).shape == (2, 1)


def test_the_documents_own_head(tmp_path: Path) -> None:
    from distill.teachers.head import read_head

    (tmp_path / "head.json").write_text(block("json"))
    head = read_head(tmp_path / "head.json")
    assert head.controls == ("jawOpen", "mouthClose")
    assert [layer.width for layer in head.layers] == [256, 256, 2]


def test_every_teacher_is_documented() -> None:
    from distill.teachers.catalogue import TEACHERS

    text = DOCS.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text and f"## {name}\n" in text for name in TEACHERS)
