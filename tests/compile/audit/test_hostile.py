"""Folders that nobody should have made: one line says what is wrong and where, and nothing outside is read."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compile.audit import folder as folders
from compile.audit.auditor import audit
from compile.audit.folder import Folder, names_of
from compile.errors import UserError

MODEL = "com.apple.CoreML/model.mlmodel"
posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and sparse files as POSIX has them")


def varint(number: int) -> bytes:
    low = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(byte | 0x80 for byte in low[:-1]), low[-1]])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


# A network of one layer, "dense", with 64 weights.
NETWORK = field(500, field(1, field(1, b"dense") + field(140, field(20, field(1, b"\0\0\x80?" * 64)))))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The smallest Core ML package: a manifest and a network."""
    root = tmp_path / "a" / "net.mlpackage"
    (root / "Data" / "com.apple.CoreML").mkdir(parents=True)
    (root / "Data" / MODEL).write_bytes(NETWORK)
    name_root(root, MODEL)
    return root


def name_root(root: Path, *items: str) -> None:
    entries = {str(index): {"path": item} for index, item in enumerate(items)}
    (root / "Manifest.json").write_text(json.dumps({"itemInfoEntries": entries, "rootModelIdentifier": "0"}))


def refusal(path: Path) -> str:
    """What is said, from the artefact's name on; before it is its folder, as the user named it."""
    with pytest.raises(UserError) as caught:
        audit(path)
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.exit_code == 2
    return text.removeprefix(f"{path.parent}/")


def test_the_package_is_sound_as_it_is(package: Path) -> None:
    (row,) = audit(package).rows
    assert row.sizes is not None
    assert row.sizes.weights == 256


@pytest.mark.parametrize("item", ["../../secret", "../Data/" + MODEL, "/etc/passwd"])
def test_a_manifest_may_not_name_what_is_outside(package: Path, item: str) -> None:
    (package.parent / "secret").write_bytes(NETWORK)
    name_root(package, item)
    assert refusal(package).startswith(f"net.mlpackage/Manifest.json: it names '{item}', which is outside the package")
    name_root(package, MODEL, item)  # nor beside the model
    assert "which is outside the package" in refusal(package)


def test_a_weight_file_may_not_be_outside(package: Path) -> None:
    """An ML program whose only constant lies in ``../../../../secret``, which is there."""
    (package.parent / "secret").write_bytes(bytes(64) + b"\xef\xbe\xad\xde" + bytes(124))
    for place in ("../../../secret", "../../../../secret", str(package.parent / "secret")):
        blob = field(1, f"@model_path/{place}".encode()) + b"\x10\x40"
        tensor = field(2, field(1, b"\x08\x0b\x10\x01" + field(3, field(1, b"\x08\x10"))))
        constant = field(1, b"const") + field(5, field(1, b"val") + field(2, tensor + field(5, blob)))
        block = field(3, constant + field(3, field(1, b"c")))
        function = field(2, b"CoreML6") + field(3, field(1, b"CoreML6") + field(2, block))
        (package / "Data" / MODEL).write_bytes(field(502, field(2, field(1, b"main") + field(2, function))))
        assert "leads out of the folder" in refusal(package)


@posix
@pytest.mark.parametrize("where", ["Data/com.apple.CoreML/model.mlmodel", "Manifest.json", "Data/stranger"])
def test_links_out_of_the_folder_are_not_followed(package: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (package / where).unlink(missing_ok=True)
    (package / where).symlink_to(tmp_path / "secret")
    text = refusal(package)
    assert f"net.mlpackage/{where}" in text
    assert "leads out of the folder" in text


@posix
def test_links_to_folders_are_not_followed(package: Path) -> None:
    (package / "Data" / "again").symlink_to(package)  # would go round for ever
    assert refusal(package).startswith("net.mlpackage/Data/again: it is a link to a folder")


@posix
def test_links_in_a_circle_are_no_path(package: Path) -> None:
    (package / "Data" / "one").symlink_to(package / "Data" / "two")
    (package / "Data" / "two").symlink_to(package / "Data" / "one")
    assert "net.mlpackage/Data: cannot read: Too many levels of symbolic links" in refusal(package)


@posix
@pytest.mark.parametrize("where", ["Data/com.apple.CoreML/model.mlmodel", "Manifest.json", "Data/stranger"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_not_opened(package: Path, where: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = package / where
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(path.parent)  # a socket's path is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    else:
        try:
            os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero: has no end
        except PermissionError:
            pytest.skip("only root makes devices")
    assert refusal(package).startswith(f"net.mlpackage/{where}: it is not a regular file")


@posix
def test_a_file_that_may_not_be_read_is_named(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For root every file may be read, so that the refusal is the system's, but made here."""

    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(folders, "_at_once", refuse)
    assert refusal(package) == "net.mlpackage/Manifest.json: cannot read: Permission denied"


@posix
def test_a_folder_that_may_not_be_read_is_named(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refuse(path: Path) -> os._ScandirIterator[str]:
        if path.name == "Data":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert refusal(package) == "net.mlpackage/Data: cannot read: Permission denied"


def test_too_many_files_are_not_listed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 50)
    for index in range(60):
        (package / f"{index}").mkdir()  # folders count too
    assert refusal(package).startswith("net.mlpackage: it holds more than 50 files")


def test_files_together_may_not_be_too_large(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_BYTES", len(NETWORK) + 200)
    audit(package)
    (package / "Data" / "stranger").write_bytes(bytes(200))
    assert "are more than an artefact may have" in refusal(package)


@pytest.mark.parametrize("size", [4 * 2**30, 2**40])
@pytest.mark.parametrize("name", ["m.onnx", "m.tflite", "m.mlmodel", "m.safetensors", "net.mlpackage", "build"])
@posix
def test_an_enormous_file_takes_no_memory(package: Path, name: str, size: int) -> None:
    """In a process with 1 GiB of memory; a map of 4 GiB would not fit there, so only what is resident counts."""
    path = package if name.startswith("net") else package.parent / name
    if name == "build":
        path.mkdir()
    at = {"net.mlpackage": path / "Manifest.json", "build": path / "manifest.json"}.get(name, path)
    with at.open("wb") as file:
        file.truncate(size)  # sparse
    program = (
        "import resource, sys, pathlib\n"
        "from compile.audit.auditor import audit\n"
        "from compile.errors import UserError\n"
        "try:\n    audit(pathlib.Path(sys.argv[1]))\n"
        "except UserError as error:\n"
        "    status = pathlib.Path('/proc/self/status')  # ru_maxrss starts with what pytest took before the exec\n"
        "    peak = status.read_text().split('VmHWM:')[1].split()[0] if status.exists() else \\\n"
        "        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    print(peak, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    kibibytes, _, text = done.stdout.partition(" ")
    assert int(kibibytes) < 200 * 1024
    assert text.count("\n") == 1


@posix
def test_a_large_file_is_audited_as_a_small_one(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = audit(package)
    monkeypatch.setattr(folders, "MAPPED", 1)
    assert type(Folder(package, ("Manifest.json",))["Manifest.json"]).__name__ == "mmap"
    assert audit(package) == read


def test_a_file_that_grows_is_not_half_read(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        about = look(descriptor)
        with (package / "Manifest.json").open("ab") as file:
            file.write(b" " * 1000)
        return about

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(UserError, match="it changed while it was read"):
        Folder(package, ("Manifest.json",))["Manifest.json"]


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".mlmodel", ".safetensors"])
def test_a_folder_named_like_a_file_is_refused(package: Path, suffix: str) -> None:
    folder = package.rename(package.with_suffix(suffix))
    assert refusal(folder).startswith(f"net{suffix}: it is a folder, and ")


def test_a_file_named_like_a_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.mlpackage").write_bytes(NETWORK)
    assert refusal(tmp_path / "net.mlpackage").startswith("net.mlpackage: it is a file, and Core ML artefacts")


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".mlmodel", ".safetensors"])
def test_an_empty_file_is_named(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"m{suffix}").touch()
    assert f"m{suffix}: " in refusal(tmp_path / f"m{suffix}")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "Manifest.json").unlink(), "it has no Manifest.json"),
        (lambda root: (root / "Manifest.json").write_bytes(b""), "it names no root model"),
        (lambda root: (root / "Manifest.json").write_bytes(b"[" * 100_000), "it names no root model"),
        (lambda root: (root / "Manifest.json").write_bytes(b" " * (2 << 20)), "too many for a manifest"),
        (lambda root: (root / "Data" / MODEL).write_bytes(b""), "it holds no model"),
        (lambda root: (root / "Data" / MODEL).unlink(), "which is not in the package"),
        (lambda root: name_root(root, MODEL, "other/model.mlmodel"), "it names several models"),
        (lambda root: (root / "Data" / MODEL).write_bytes(NETWORK * 2 + field(502, b"")), "it holds several models"),
    ],
)
def test_a_package_that_is_none_is_refused(package: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(package)
    assert message in refusal(package)


def test_a_second_model_that_nobody_names_has_no_label(package: Path) -> None:
    (package / "Data" / "other.mlmodel").write_bytes(NETWORK)
    (row,) = audit(package).rows
    assert row.dissection is not None
    strangers = [s for s in row.dissection.sections if s.kind.value == "[unmapped]"]
    assert [(s.file, s.end - s.start) for s in strangers] == [("net.mlpackage/Data/other.mlmodel", len(NETWORK))]


@posix
@pytest.mark.parametrize("name", ["two\nlines", "bell\a", b"\xff\xfe"])
def test_a_name_that_is_no_text_is_refused_in_one_line(package: Path, name: str | bytes) -> None:
    with open(os.path.join(os.fsencode(package), os.fsencode(name)), "wb"):
        pass
    text = refusal(package)
    assert "holds what is no text" in text
    text.encode()


def test_names_are_sorted_and_complete(tmp_path: Path) -> None:
    for name in ("p/b/c", "p/a", "p/b/a/x", "p/.hidden", "q"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert names_of(tmp_path, "p") == ("p/.hidden", "p/a", "p/b/a/x", "p/b/c")
    assert names_of(tmp_path, "q") == ("q",)
    assert names_of(tmp_path, "r") == ()


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2J", "\u2028", "\u202e"])
def test_names_inside_a_file_do_not_break_a_message(package: Path, name: str) -> None:
    broken = field(1, name.encode()) + field(250, field(2, field(40, b"\x08\x40")))  # 64 bits an element
    (package / "Data" / MODEL).write_bytes(field(500, field(1, broken)))
    text = refusal(package)
    assert "are said to have 64 bits" in text
    assert text.isprintable()
