"""Files of a git revision are what git has, and nothing else of the machine is asked."""

from __future__ import annotations

import hashlib
import os

import pytest

from compile.audit import revision
from compile.audit.revision import Tree, checked, find
from compile.errors import UserError


def pointer(data: bytes) -> bytes:
    """What git-LFS commits in the place of ``data``."""
    digest = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(data)}\n".encode()


def test_files_as_they_were(repository):
    first = repository.commit(
        {"a/model.onnx": b"old", "a/p.mlpackage/M.json": b"{}", "a/p.mlpackage/D/w.bin": b"\0\n\r"}
    )
    repository.commit({"a/model.onnx": b"newer", "a/p.mlpackage/D/w.bin": b""})
    then, now = find(repository.root / "a", first), find(repository.root / "a", "main")
    assert dict(then.files("a/model.onnx")) == {"model.onnx": b"old"}
    assert dict(now.files("a/model.onnx")) == {"model.onnx": b"newer"}
    assert dict(then.files("a/p.mlpackage")) == {"p.mlpackage/M.json": b"{}", "p.mlpackage/D/w.bin": b"\0\n\r"}
    assert dict(then.files("a/nothing.onnx")) == {}
    assert then.files("a/model.onnx")["p.mlpackage/M.json"] == b"{}"  # as external data is asked for
    with pytest.raises(KeyError):
        then.files("a/model.onnx")["other.bin"]
    assert (then.prefix, then.commit, then.name) == ("a/", first, f"git:{first} ({first[:7]})")
    assert now.name == f"git:main ({now.commit[:7]})"


def test_names_that_git_quotes(repository):
    name = 'ä "b"\n*.onnx'
    repository.commit({name: b"1", "ä other.onnx": b"2"})
    assert dict(find(repository.root, "main").files(name)) == {name: b"1"}


def test_a_revision_beside_what_is_checked_out_is_stale(repository):
    repository.commit({"a": b"1"})
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit({"a": b"2"})
    assert find(repository.root, "main").stale == ""
    repository.git("checkout", "--quiet", "main")
    assert "not an ancestor" in find(repository.root, "side").stale


@pytest.mark.parametrize("text", ["", "-x", "--output=x", "a:b", "a b", "a\nb", "HEAD:", "\0"])
def test_what_is_no_revision(repository, text):
    repository.commit({"a": b"1"})
    with pytest.raises(UserError, match="not a revision"):
        find(repository.root, text)


@pytest.mark.parametrize("text", ["main", "HEAD~1", "v1.0^{}", "origin/main", "main@{1}"])
def test_revisions(text):
    assert checked(text) == text


def test_no_such_revision(repository):
    repository.commit({"a": b"1"})
    with pytest.raises(UserError, match="no revision 'nowhere' in this repository; fetch it first"):
        find(repository.root, "nowhere")
    with pytest.raises(UserError, match="no revision"):
        find(repository.root, "main^{tree}^{}")


def test_a_repository_of_another_user_says_how_to_trust_it(repository, monkeypatch):
    """As in a container of CI; the variable is what git's own tests feign that with."""
    repository.commit({"a": b"1"})
    monkeypatch.setattr(revision, "_SET", revision._SET | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    with pytest.raises(UserError, match=r"safe\.directory") as refused:
        find(repository.root, "main")
    assert str(repository.root) not in str(refused.value)


def test_a_shallow_clone_says_how_to_deepen_it(repository, tmp_path):
    repository.commit({"a": b"1"})
    repository.commit({"a": b"2"})
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.root}", str(tmp_path / "shallow"))
    with pytest.raises(UserError, match="fetch-depth: 0"):
        find(tmp_path / "shallow", "HEAD~1")


def test_no_repository(tmp_path):
    with pytest.raises(UserError, match="not a git repository"):
        find(tmp_path, "main")


def test_git_is_not_there(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository.root))
    with pytest.raises(UserError, match="git is not installed"):
        find(repository.root, "main")


def test_hooks_do_not_redirect(repository, tmp_path, monkeypatch):
    """git tells its hooks by environment where the repository and the index are; ours may be another."""
    commit = repository.commit({"a": b"1"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert find(repository.root, "main").commit == commit


@pytest.mark.parametrize("path", ["../a", "a/../../b", "x\0y", "y" * 5000])
def test_paths_stay_inside(repository, path):
    repository.commit({"a": b"1"})
    with pytest.raises(UserError, match="leads out"):
        find(repository.root, "main").files(path)


def test_links_and_submodules_are_no_files(repository):
    os.symlink("a", repository.root / "link.onnx")
    commit = repository.commit({"a": b"1"})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub.onnx")
    repository.git("commit", "--quiet", "--message", "a submodule")
    for name, kind in (("link.onnx", "a symbolic link"), ("sub.onnx", "a submodule")):
        with pytest.raises(UserError, match=f"'{name}' is {kind}"):
            find(repository.root, "main").files(name)


def test_sizes_are_checked_before_bytes_are_read(repository, monkeypatch):
    repository.commit({"big.onnx": b"x" * 5000})
    monkeypatch.setattr("compile.audit.revision.MAX_BYTES", 4999)
    monkeypatch.setattr("compile.audit.revision.Revision.blob", lambda *_: pytest.fail("it was read"))
    with pytest.raises(UserError, match="5,000 bytes, more than"):
        find(repository.root, "main").files("big.onnx")


def test_git_lfs(repository):
    data = b"weights" * 1000
    repository.commit({"model.onnx": pointer(data)})
    files = find(repository.root, "main").files("model.onnx")
    assert isinstance(files, Tree)
    assert files.size == 7000
    with pytest.raises(UserError, match="kept by git-LFS and its bytes are not here; run: git lfs fetch origin main"):
        files["model.onnx"]
    digest = hashlib.sha256(data).hexdigest()
    kept = repository.root / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    kept.parent.mkdir(parents=True)
    kept.write_bytes(data)
    assert find(repository.root, "main").files("model.onnx")["model.onnx"] == data
    kept.write_bytes(b"Weights" * 1000)
    with pytest.raises(UserError, match="is not that file"):
        find(repository.root, "main").files("model.onnx")["model.onnx"]


def test_a_file_whose_object_is_missing_is_named(repository):
    repository.commit({"model.onnx": b"here once"})
    name = find(repository.root, "main").entries("model.onnx")["model.onnx"].object
    (repository.root / ".git" / "objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(UserError, match=r"bytes of 'model\.onnx' are not in this repository"):
        find(repository.root, "main").files("model.onnx")
