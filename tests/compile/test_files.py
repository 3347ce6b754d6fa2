"""Folders appear whole, replace only their own, and killed runs leave nothing for long."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compile.errors import UserError
from compile.files import contents, folder_atomically, plain_folder, require_replaceable, workbench, write_atomically


def test_a_failing_block_leaves_the_old_folder(tmp_path: Path) -> None:
    with folder_atomically(tmp_path / "a") as folder:
        (folder / "one").write_text("old")

    def fail() -> None:
        with folder_atomically(tmp_path / "a") as folder:
            (folder / "one").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "a/one").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_is_no_bug(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a: cannot write: No space left"), folder_atomically(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert os.listdir(tmp_path) == []


def test_what_a_killed_run_left_is_swept_and_what_runs_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom compile.files import folder_atomically\n"
        "with folder_atomically(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').write_text('x')\n    print('ready', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        with folder_atomically(tmp_path / "a"):
            assert len(os.listdir(tmp_path)) == 2  # the other one lives
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert len(os.listdir(tmp_path)) == 2
    with folder_atomically(tmp_path / "a"):
        pass
    assert os.listdir(tmp_path) == ["a"]


def test_only_what_is_ours_may_be_replaced(tmp_path: Path) -> None:
    ours = {"x.json"}.__contains__
    require_replaceable(tmp_path / "absent", ours, "ours")
    (tmp_path / "x.json").touch()
    require_replaceable(tmp_path, ours, "ours")
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match=r"is not ours: it holds 'thesis\.txt'; choose another"):
        require_replaceable(tmp_path, ours, "ours")
    with pytest.raises(UserError, match="is no folder"):
        require_replaceable(tmp_path / "thesis.txt", ours, "ours")


def test_names_that_can_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real/sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    assert plain_folder(tmp_path / "link") == (tmp_path / "real").resolve()
    assert plain_folder(Path("build/a")) == Path("build/a")
    monkeypatch.chdir(tmp_path / "real/sub")
    assert plain_folder(Path()) == (tmp_path / "real/sub").resolve()
    assert plain_folder(Path("..")) == (tmp_path / "real").resolve()
    with pytest.raises(UserError, match="root of the file system"):
        plain_folder(Path("/"))


def test_a_workbench_goes_and_takes_what_a_killed_run_left(tmp_path: Path) -> None:
    left = tmp_path / ".index.new.abandoned"
    left.mkdir()
    (left / "half").write_text("hal")
    (tmp_path / ".other.new.x").mkdir()
    with workbench(tmp_path / "index") as bench, workbench(tmp_path / "index") as second:
        assert not left.exists()
        assert bench.is_dir()  # in use, so the second one left it alone
        assert bench != second
        (bench / "piece").write_text("whole")
        (bench / "piece").replace(tmp_path / "piece")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.new.x", "piece"]


def test_workbenches_of_many_processes(tmp_path: Path) -> None:
    """Each sweeps while others make theirs; nobody loses his."""
    code = (
        "import sys; from pathlib import Path; from compile.files import workbench\n"
        "for round in range(200):\n"
        "    with workbench(Path(sys.argv[1]) / 'index') as bench:\n"
        "        (bench / 'x').write_text('x'); assert (bench / 'x').is_file()\n"
    )
    root = str(Path(__file__).parents[2])
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "l")], env=os.environ | {"PYTHONPATH": root})
        for _ in range(4)
    ]
    assert [run.wait(60) for run in runs] == [0] * 4
    assert list((tmp_path / "l").iterdir()) == []


def test_parts_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"first\n"
        raise KeyboardInterrupt

    write_atomically(tmp_path / "lines", (b"%d\n" % number for number in range(3)))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "lines", parts())
    assert (tmp_path / "lines").read_bytes() == b"0\n1\n2\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"x")
    assert contents(tmp_path / "plain") == b"x"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no file"):
        contents(tmp_path / "pipe")
