"""Files of a git repository as they were at a revision, for baselines; nothing is checked out, fetched or run.

git itself is asked, in an environment without whatever a hook or a user put there to redirect it. Sizes are known
before bytes are read.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from compile.audit.folder import MAX_BYTES, MAX_FILES, POINTER, POINTER_BYTES, resolve
from compile.errors import UserError

_SECONDS = 60.0  # for one question to git
_PATH = 4096  # characters
_REVISION = re.compile(r"[^\s\0:\-][^\s\0:]*")  # no option, and no `revision:path`
_POINTER = re.compile(  # https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
    re.escape(POINTER) + rb"(?:ext-\S+ \S+\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n"
)
_KEPT = ("PATH", "HOME", "SYSTEMROOT", "USERPROFILE", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")
_TRUST = 'run: git config --global --add safe.directory "$PWD"'
_SET = {
    "LC_ALL": "C",
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone lacks what it lacks: an audit stays off the network
    "GIT_ALLOW_PROTOCOL": "",  # git before 2.45 may fetch; this none of the repository's own settings overrides
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


@dataclass(frozen=True)
class Entry:
    """A file at a revision: what git calls it, and its bytes; ``pointer`` is the SHA-256 of one that git-LFS keeps."""

    object: str
    size: int
    pointer: str = ""


@dataclass(frozen=True)
class Revision:
    """A commit of the repository that a folder is in.

    Attributes:
        text: as the user wrote it.
        commit: its full name.
        folder: of the repository's top.
        prefix: of the folder that was asked about, relative to the top; empty for the top itself.
        stale: why comparing with it may mislead; empty when nothing does.
    """

    text: str
    commit: str
    folder: Path
    prefix: str
    stale: str

    @property
    def name(self) -> str:
        """For people: ``git:main (1a2b3c4)``."""
        return f"git:{self.text} ({self.commit[:7]})"

    def files(self, path: str) -> Tree:
        """The artefact at ``path`` relative to the top, a file or everything in a folder; empty when there is nothing.

        Its keys start at the folder that the artefact is in.
        """
        pure = PurePosixPath(path)
        return Tree(self, "" if pure.parent == PurePosixPath() else f"{pure.parent}/", self.entries(pure.as_posix()))

    def entries(self, path: str) -> dict[str, Entry]:
        """Every file at or beneath ``path``, by its path from the top.

        Raises:
            UserError: there are too many, or one is too large, a link or a submodule.
        """
        if ".." in PurePosixPath(path).parts or "\0" in path or len(path) > _PATH:
            raise UserError(f"the path '{path[:_PATH]}' leads out of the repository", where=self.name)
        arguments = ("ls-tree", "-r", "-z", "-l", "--full-tree", self.commit, "--", *([path] if path != "." else []))
        lines = _git(self.folder, *arguments).split(b"\0")[:-1]
        if len(lines) > MAX_FILES:
            raise UserError(f"it holds more than {MAX_FILES:,} files", where=f"{self.name}: {path}")
        return dict(self._entry(line) for line in lines)

    def _entry(self, line: bytes) -> tuple[str, Entry]:
        about, _, raw = line.partition(b"\t")
        mode, _, name, size = about.decode().split()
        path = os.fsdecode(raw)
        if mode not in ("100644", "100755"):
            kind = {"120000": "a symbolic link", "160000": "a submodule"}.get(mode, f"of mode {mode}")
            raise UserError(f"'{path}' is {kind}, not a file", where=self.name, fix="name the file itself")
        if not size.isdecimal():  # as git says of an object that it lacks
            raise UserError(f"the bytes of '{path}' are not in this repository", where=self.name, fix="fetch them")
        if int(size) > MAX_BYTES:
            raise UserError(f"'{path}' has {int(size):,} bytes, more than an artefact may have", where=self.name)
        if int(size) < POINTER_BYTES and (found := _POINTER.match(self.blob(name))):
            return path, Entry(name, int(found.group(2)), found.group(1).decode())
        return path, Entry(name, int(size))

    def blob(self, name: str) -> bytes:
        """The bytes of a git object."""
        return _git(self.folder, "cat-file", "blob", name)

    def read(self, path: str, entry: Entry) -> bytes:
        """The bytes of a file; those that git-LFS keeps only if it has fetched them.

        Raises:
            UserError: it has not, or what it fetched is something else.
        """
        if not entry.pointer:
            return self.blob(entry.object)
        kept = self._common / "lfs" / "objects" / entry.pointer[:2] / entry.pointer[2:4] / entry.pointer
        fix = f"run: git lfs fetch origin {self.text}"
        if not kept.is_file() or kept.stat().st_size != entry.size or entry.size > MAX_BYTES:
            raise UserError(f"'{path}' is kept by git-LFS and its bytes are not here", where=self.name, fix=fix)
        data = kept.read_bytes()
        if hashlib.sha256(data).hexdigest() != entry.pointer:
            raise UserError(f"what git-LFS keeps as '{path}' is not that file", where=self.name, fix=fix)
        return data

    @cached_property
    def _common(self) -> Path:
        return self.folder / os.fsdecode(_git(self.folder, "rev-parse", "--git-common-dir").rstrip(b"\n"))


@dataclass(frozen=True, eq=False)
class Tree(Mapping[str, bytes]):
    """Files of an artefact at a revision, read when asked for, as ``folder.Folder`` does from disk."""

    revision: Revision
    base: str
    entries: Mapping[str, Entry]
    _read: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """The bytes of its own files, which are known even of those that are not here."""
        return sum(entry.size for entry in self.entries.values())

    def __iter__(self) -> Iterator[str]:
        return (path.removeprefix(self.base) for path in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, name: str) -> bytes:
        if name not in self._read:
            path = self.base + name
            entries = self.entries if path in self.entries else self.revision.entries(path)
            self._read[name] = self.revision.read(path, entries[path])
        return self._read[name]


def checked(text: str) -> str:
    """``text``, if it can be a revision.

    Raises:
        UserError: it cannot, or git would take it for something else.
    """
    if not _REVISION.fullmatch(text):
        raise UserError(f"'{text}' is not a revision", where="git", fix="write for example git:main")
    return text


def find(folder: Path, text: str) -> Revision:
    """The revision ``text`` of the repository that ``folder`` is in.

    Raises:
        UserError: git is not installed, ``folder`` is in no repository, or there is no such revision.
    """
    checked(text)
    place = resolve(folder)
    while not place.is_dir():  # what is compared may have been moved away
        place = place.parent
    top = Path(os.fsdecode(_git(place, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    commit = _answer(top, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}")
    if commit is None:
        shallow = _answer(top, "rev-parse", "--is-shallow-repository") == "true"
        fix = "fetch it first; in CI, check out the whole history (fetch-depth: 0)" if shallow else "fetch it first"
        raise UserError(f"there is no revision '{text}' in this repository", where="git", fix=fix)
    stale = ""
    if _answer(top, "merge-base", "--is-ancestor", commit, "HEAD") is None:
        stale = f"{text} is not an ancestor of what is checked out, and may have won or lost bytes of its own since"
    prefix = resolve(folder).relative_to(resolve(top)).as_posix()
    return Revision(text, commit, top, "" if prefix == "." else f"{prefix}/", stale)


def _answer(folder: Path, *arguments: str) -> str | None:
    """The line that git prints, None if it fails."""
    done = _run(folder, arguments)
    return None if done.returncode else os.fsdecode(done.stdout.rstrip(b"\n"))


def _git(folder: Path, *arguments: str) -> bytes:
    done = _run(folder, arguments)
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        reason = next((line for line in said if line.startswith("fatal: ")), " ".join(said)).removeprefix("fatal: ")
        if "dubious ownership" in reason:  # as in a container of CI, where the checkout is another user's
            raise UserError("it trusts no repository of another user", where="git", fix=_TRUST)
        raise UserError(f"git {arguments[0]} fails: {reason}", where="git")
    return done.stdout


def _run(folder: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _SET
    command = ["git", "--literal-pathspecs", *arguments]
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS
        )
    except FileNotFoundError as error:
        raise UserError("git is not installed, or not on the PATH", where="git", fix="install git") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"git did not answer within {_SECONDS:.0f} s", where="git") from error
