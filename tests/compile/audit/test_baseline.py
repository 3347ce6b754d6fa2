"""Every kind of baseline is found and read, and whatever may make a comparison mislead is said."""

from __future__ import annotations

import hashlib
import json

import pytest

from compile.audit.auditor import audit
from compile.audit.baseline import read
from compile.audit.difference import difference
from compile.audit.render.as_json import render
from compile.audit.sizes import METRICS
from compile.errors import UserError

KNOWN = ("file", "download", "brotli", "weights", "activations", "footprint")


@pytest.fixture
def rows(build):
    """The rows of a build of an ONNX and a TFLite file."""
    return {row.target: row for row in audit(build()).rows}


def whole(old, row):
    """``old`` has everything that an audit of the same bytes finds."""
    return (
        old.stale == ""
        and all(old.metrics[name] == row.sizes.metric(name) is not None for name in KNOWN)
        and difference(row, old).changes == dict.fromkeys(("section", "layer", "operator", "dtype"), ())
    )


@pytest.mark.parametrize("spec", ["build", "build/", "build/manifest.json"])
def test_a_build(rows, tmp_path, spec):
    found = read(spec, tmp_path)
    assert found.model == "student"
    for target, row in rows.items():
        old = found.of(row)
        assert (old.name, old.target, old.path) == (spec, target, row.path)
        assert whole(old, row)


def test_an_artefact(rows, tmp_path):
    found = read("build/student.onnx", tmp_path)
    assert whole(found.of(rows["onnx"]), rows["onnx"])
    assert found.of(rows["tflite"]) is None


def test_the_report_of_an_audit(build, tmp_path):
    report = audit(build())
    (tmp_path / "audit.json").write_bytes(render(report))
    found = read("audit.json", tmp_path)
    assert all(whole(found.of(row), row) for row in report.rows)


def test_a_report_without_its_bytes_tells_sizes(build, tmp_path):
    report = audit(build())
    data = json.loads(render(report))
    for row in data["rows"]:
        row["breakdown"]["layer"][0]["bytes"] += 1  # no longer those of the file
    (tmp_path / "audit.json").write_text(json.dumps(data))
    old = read("audit.json", tmp_path).of(report.rows[0])
    assert old.metrics["footprint"] == report.rows[0].sizes.footprint
    assert old.shares == {}
    assert "only the sizes that the report gives are known" in old.stale


def test_a_report_of_an_older_phiz(rows, tmp_path):
    old = {"format": 1, "name": "student", "rows": [{"target": "onnx", "path": "student.onnx", "footprint": {}}]}
    (tmp_path / "audit.json").write_text(json.dumps(old))
    found = read("audit.json", tmp_path).of(rows["onnx"])
    assert found.metrics == {}
    assert "tells no sizes" in found.stale


def test_a_manifest_alone_knows_only_files(rows, tmp_path):
    (tmp_path / "old.json").write_bytes((tmp_path / "build" / "manifest.json").read_bytes())
    old = read("old.json", tmp_path).of(rows["onnx"])
    assert old.metrics == {"file": rows["onnx"].sizes.file}
    assert old.stale == "the artefact is not beside the manifest: only the sizes that the manifest gives are known"
    assert difference(rows["onnx"], old).metrics["weights"] == (None, rows["onnx"].sizes.weights)


def test_a_manifest_that_its_artefact_has_left_behind(rows, tmp_path):
    size = rows["onnx"].sizes.file
    with (tmp_path / "build" / "student.onnx").open("ab") as file:
        file.write(b"\x12\x00")
    found = read("build", tmp_path)
    assert found.of(rows["onnx"]).metrics == {"file": size}
    assert "the artefact beside the manifest is another" in found.of(rows["onnx"]).stale
    assert whole(found.of(rows["tflite"]), rows["tflite"])


def test_another_model_is_said(build, tmp_path):
    folder = build(lambda manifest: manifest.update(name="teacher"))
    folder.rename(tmp_path / "old")
    row = audit(build()).rows[0]
    assert read("old", tmp_path).of(row).stale == "it is of another model: 'teacher', not 'student'"


def test_a_malformed_baseline_is_unknown(rows, tmp_path):
    (tmp_path / "old.onnx").write_bytes(b"no model")
    old = read("old.onnx", tmp_path).of(rows["onnx"])
    assert all(old.metrics.get(name) is None for name in METRICS)
    assert "old.onnx" in old.stale


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "[]"),
        ("a.json", "{"),
        ("a.json", '{"rows": []}'),
        ("a.json", '{"rows": [{"target": 1}]}'),
        ("a.json", '{"rows": 3}'),
        ("a.json", '{"artifacts": 3}'),
        ("a.json", "[" * 100_000),
        ("a.txt", "hello"),
        ("folder/readme", "hello"),
    ],
)
def test_what_is_no_baseline(tmp_path, name, text):
    (tmp_path / "folder").mkdir()
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError):
        read(name.partition("/")[0], tmp_path)


@pytest.mark.parametrize("name", ["a.json", "a.onnx", "a.mlpackage"])
def test_folders_are_no_files_and_files_no_folders(tmp_path, name):
    place = tmp_path / name
    if name == "a.mlpackage":
        place.write_bytes(b"x")
    else:
        place.mkdir()
        (place / name).write_bytes(b"x")
    with pytest.raises(UserError, match=f"'{name}' is a"):
        read(name, tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        read("nothing", tmp_path)


def test_a_manifest_reads_nothing_outside_its_folder(build, tmp_path):
    (tmp_path / "secret.onnx").write_bytes(b"secret")

    def away(manifest):
        manifest["artifacts"]["onnx"]["path"] = "../secret.onnx"

    folder = build(away)
    row = next(row for row in audit(folder).rows if row.target == "onnx")
    assert "leads out of the folder" in read(str(folder), tmp_path).of(row).stale


class TestGit:
    """Rows are of a working tree; the baseline is what was committed."""

    @pytest.fixture
    def past(self, repository, build, dense):
        """A build at ``main`` whose ONNX file had 32 rows, and the build of now, in the same place."""
        folder = build()
        then = {f"out/{path.name}": path.read_bytes() for path in folder.iterdir()}
        manifest = json.loads(then["out/manifest.json"])
        old = dense(32)
        manifest["artifacts"]["onnx"]["files"] = {
            "student.onnx": {"bytes": len(old), "sha256": hashlib.sha256(old).hexdigest()}
        }
        repository.commit(then | {"out/student.onnx": old, "out/manifest.json": json.dumps(manifest).encode()})
        for path in folder.iterdir():
            (repository.root / "out" / path.name).write_bytes(path.read_bytes())
        return repository

    def test_a_build_of_a_revision(self, past, monkeypatch):
        monkeypatch.chdir(past.root)
        rows = {row.target: row for row in audit(past.root / "out").rows}
        for spec in ("git:main", "git:main:out", "git:HEAD:./out", "git:main:out/manifest.json"):
            found = read(spec, past.root)
            assert whole(found.of(rows["tflite"]), rows["tflite"])
            old = found.of(rows["onnx"])
            assert old.stale == ""
            assert rows["onnx"].sizes.weights - old.metrics["weights"] == 32 * 128 * 4
            assert f"({past.git('rev-parse', 'HEAD')[:7]})" in old.name

    def test_an_artefact_of_a_revision(self, past):
        row = audit(past.root / "out" / "student.onnx").rows[0]
        for spec in ("git:main", "git:main:out/student.onnx", "git:main:./out/../out/student.onnx"):
            old = read(spec, past.root).of(row)
            assert row.sizes.weights - old.metrics["weights"] == 32 * 128 * 4
        assert read("git:main:./student.onnx", past.root / "out").of(row).metrics == old.metrics

    def test_an_artefact_that_was_not_there(self, past):
        (past.root / "new").mkdir()
        (past.root / "new" / "student.onnx").write_bytes((past.root / "out" / "student.onnx").read_bytes())
        row = audit(past.root / "new" / "student.onnx").rows[0]
        assert read("git:main", past.root).of(row) is None
        with pytest.raises(UserError, match=r"no 'student\.onnx'"):
            read("git:main:new/student.onnx", past.root)

    def test_external_data(self, repository, dense):
        """What a model keeps beside itself is found at the revision."""
        repository.commit({"m/net.onnx": dense(64, external="net.bin"), "m/net.bin": bytes(64 * 128 * 4)})
        (repository.root / "m" / "net.onnx").write_bytes(dense(64))
        row = audit(repository.root / "m" / "net.onnx").rows[0]
        old = read("git:HEAD", repository.root).of(row)
        assert old.stale == ""
        assert old.metrics["weights"] == row.sizes.weights == 64 * 128 * 4

    def test_lfs(self, repository, onnx_model):
        """Without its bytes, the size of a file that git-LFS keeps is known, and nothing else."""
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 40000\n"
        repository.commit({"net.onnx": pointer.encode()})
        (repository.root / "net.onnx").write_bytes(onnx_model)
        old = read("git:main", repository.root).of(audit(repository.root / "net.onnx").rows[0])
        assert old.metrics == {"file": 40_000}
        assert "git lfs fetch origin main" in old.stale

    def test_a_branch_beside(self, past):
        past.git("checkout", "--quiet", "-b", "side")
        past.commit({"more": b""})
        past.git("checkout", "--quiet", "main")
        row = audit(past.root / "out" / "student.onnx").rows[0]
        assert "not an ancestor" in read("git:side", past.root).of(row).stale

    def test_no_such_revision(self, past):
        row = audit(past.root / "out").rows[0]
        with pytest.raises(UserError, match="no revision 'nowhere'"):
            read("git:nowhere", past.root).of(row)
        with pytest.raises(UserError, match="not a revision"):
            read("git:--help", past.root)
