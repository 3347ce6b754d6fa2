"""The size of a runtime's library is that of its files, or what the user says."""

from __future__ import annotations

import pytest

from compile.audit.library import Library, library
from compile.errors import UserError


def test_a_file_a_folder_and_a_size(tmp_path):
    (tmp_path / "lib.so").write_bytes(bytes(1234))
    framework = tmp_path / "Lib.framework"
    (framework / "Headers").mkdir(parents=True)
    (framework / "Lib").write_bytes(bytes(1000))
    (framework / "Headers" / "lib.h").write_bytes(bytes(17))
    assert library(str(tmp_path / "lib.so")) == Library("lib.so", 1234)
    assert library(str(framework)) == Library("Lib.framework", 1017)
    assert library("3.1 MB") == Library("", 3_100_000)


def test_a_file_called_like_a_size(tmp_path, monkeypatch):
    (tmp_path / "3MB").write_bytes(b"123")
    monkeypatch.chdir(tmp_path)
    assert library("3MB") == Library("3MB", 3)


@pytest.mark.parametrize("text", ["nothing.so", "", "3.1", "lib MB", "3.14159265 kB"])
def test_neither(text):
    with pytest.raises(UserError, match="--runtime-library"):
        library(text)
