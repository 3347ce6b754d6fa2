"""A program that takes too long takes those that it started with it."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from targets.command import finished

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
# Its own child holds the pipe, too: it ends when both are gone.
TWO = "sleep 60 & echo begun; wait"


def test_what_it_says() -> None:
    done = finished(("sh", "-c", "cat; echo yes; echo no >&2; exit 3"), 60, stdout=-1, stderr=-1)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"yes\n", b"no\n")


@pytest.mark.parametrize("reason", [subprocess.TimeoutExpired, KeyboardInterrupt])
def test_nothing_outlives_it(reason: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(process: subprocess.Popen[bytes], timeout: float) -> tuple[bytes, bytes]:
        assert process.stdout is not None
        process.stdout.readline()
        raise KeyboardInterrupt

    if reason is KeyboardInterrupt:
        monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    ours, theirs = os.pipe()
    try:
        with pytest.raises(reason) as late:
            finished(("sh", "-c", TWO), 1, stdout=-1, pass_fds=(theirs,))
    finally:
        os.close(theirs)
    if isinstance(late.value, subprocess.TimeoutExpired):
        assert late.value.output == b"begun\n"
    with os.fdopen(ours, "rb") as pipe:
        assert select.select([pipe], [], [], 30)[0], "something lives on"
        assert pipe.read() == b""
