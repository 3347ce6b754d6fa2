"""What ``examples/ci`` offers, run: the scripts are taken out of the YAML and executed by bash with a real ``phiz``."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from hashlib import shake_128
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from lxml import etree

ROOT = Path(__file__).parents[2]
CI = ROOT / "examples" / "ci"
BIN = Path(sys.executable).parent  # where the tests' own phiz is
BUDGET = '[budget.mobile]\nfiles = ["*.safetensors"]\nfile = "{limit}"\ngrowth = "2 %"\nbaseline = "git:HEAD"\n'

pytestmark = pytest.mark.skipif(not (BIN / "phiz").exists(), reason="phiz is not installed beside this Python")


def loaded(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def model(values: int) -> bytes:
    """A file of safetensors: so many float32, after a header of 80 bytes and its length."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).ljust(80)
    return len(header).to_bytes(8, "little") + header.encode() + shake_128(b"w").digest(4 * values)


def git(folder: Path, *arguments: str) -> None:
    options = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *options, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a model of 1,112 bytes and a budget of 2 kB, on the branch main."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "student.safetensors").write_bytes(model(256))
    (folder / "phiz.toml").write_text(BUDGET.format(limit="2 kB"))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=a model")
    return folder


def bash(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """As a runner does it: in a new shell that stops at the first failure."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    home = {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": path, **home, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# ---- the action


@pytest.fixture
def action(project: Path) -> Callable[..., tuple[subprocess.CompletedProcess[str], Path]]:
    """Runs the step that audits, with inputs put into its environment as GitHub does it."""
    data = loaded("examples/ci/action.yml")
    step = next(step for step in data["runs"]["steps"] if step.get("id") == "audit")

    def run(**inputs: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        given = {name: str(entry["default"]) for name, entry in data["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        pattern = re.compile(r"\$\{\{ inputs\.([a-z-]+) \}\}")
        environment = {name: pattern.sub(lambda m: given[m[1]], value) for name, value in step["env"].items()}
        files = {name: str(project.parent / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        return bash(step["run"], project, **environment, **files), project.parent

    return run


def test_the_action_annotates_and_summarises_what_holds(action: Callable[..., Any]) -> None:
    done, files = action()
    assert (done.returncode, done.stdout) == (0, "phiz audit: student.safetensors: pass\n"), done.stderr
    assert (files / "GITHUB_OUTPUT").read_text() == "exit-code=0\n"
    assert (files / "GITHUB_STEP_SUMMARY").read_text().startswith("## ✅ student.safetensors")


def test_the_action_fails_with_what_is_over_budget(action: Callable[..., Any], project: Path) -> None:
    (project / "student.safetensors").write_bytes(model(1_024))
    done, files = action(html="page.html")
    assert done.returncode == 1
    errors = [line for line in done.stdout.splitlines() if line.startswith("::error file=student.safetensors,")]
    assert len(errors) == 2  # its size, and its growth over git:HEAD
    assert "4.18 kB (4,184 bytes)" in errors[0]
    assert (files / "GITHUB_OUTPUT").read_text() == "exit-code=1\n"
    assert (files / "GITHUB_STEP_SUMMARY").read_text().startswith("## ❌ student.safetensors")
    assert (project / "page.html").read_bytes().lower().startswith(b"<!doctype html>")


def test_the_action_takes_its_inputs(action: Callable[..., Any], project: Path) -> None:
    (project / "two words").mkdir()
    (project / "two words" / "b.safetensors").write_bytes(model(64))
    (project / "other.toml").write_text('[budget.other]\nfile = "1500 B"\n')
    given = {"paths": "student.safetensors\ntwo words/b.safetensors\n", "config": "other.toml", "format": "json"}
    done, _ = action(**given, output="report.json", baseline="git:main")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    report = json.loads((project / "report.json").read_text())
    assert [row["path"] for row in report["rows"]] == ["student.safetensors", "two words/b.safetensors"]
    assert [budget["name"] for budget in report["budgets"]] == ["other"]
    assert report["rows"][0]["difference"]["metrics"]["file"] == {"old": 1_112, "new": 1_112}
    assert action(**given, cap="1 kB")[0].returncode == 1


def test_bad_configuration_is_told_apart(action: Callable[..., Any]) -> None:
    done, files = action(cap="much")
    assert done.returncode == 2
    assert (files / "GITHUB_OUTPUT").read_text() == "exit-code=2\n"


@pytest.mark.parametrize("name", ["paths", "cap", "config", "baseline", "format", "output", "html", "measure"])
def test_no_input_becomes_a_command(action: Callable[..., Any], project: Path, name: str) -> None:
    done, files = action(**{name: "$(touch owned) `touch owned`; touch owned\n\"; touch owned #'; touch owned"})
    assert not [path for folder in (project, files) for path in folder.rglob("owned")]
    assert done.returncode in (0, 1, 2)


def test_no_script_holds_an_expression() -> None:
    """GitHub puts the values of expressions into scripts before bash reads them; the environment is safe."""
    steps = list(loaded("examples/ci/action.yml")["runs"]["steps"])
    steps += [step for job in loaded("examples/ci/workflow.yml")["jobs"].values() for step in job["steps"]]
    assert not [step for step in steps if "${{" in step.get("run", "")]


def test_the_action_installs_phiz_where_there_is_none(tmp_path: Path) -> None:
    """Without a network: ``python3`` is a stand-in that writes down what it was asked."""
    install = loaded("examples/ci/action.yml")["runs"]["steps"][0]["run"]
    assert bash(install, tmp_path).stdout.startswith("phiz ")  # the tests' own: nothing to install
    tools = tmp_path / "tools"
    (tools / "made" / "bin").mkdir(parents=True)
    for tool, text in {
        "python3": f'echo "python3 $*" >> "{tmp_path}/said"\nmkdir -p "$3/bin"\ncp "{tools}/pip" "$3/bin/pip"\n',
        "pip": f'echo "pip $*" >> "{tmp_path}/said"\n',
    }.items():
        (tools / tool).write_text(f"#!/bin/bash\n{text}")
        (tools / tool).chmod(0o755)
    for requirement, wanted in (("", "/action/../.."), ("phiz==9", "phiz==9")):
        (tmp_path / "said").write_text("")
        done = subprocess.run(
            ["/bin/bash", "-eo", "pipefail", "-c", install],
            env={
                "PATH": f"{tools}:/usr/bin:/bin",
                "RUNNER_TEMP": str(tmp_path / "temp"),
                "GITHUB_ACTION_PATH": "/action",
                "GITHUB_PATH": str(tmp_path / "path"),
                "REQUIREMENT": requirement,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said = (tmp_path / "said").read_text().splitlines()
        assert said[0] == f"python3 -m venv {tmp_path}/temp/phiz"
        assert said[1].endswith(f" {wanted}")
    assert (tmp_path / "path").read_text().splitlines()[-1] == f"{tmp_path}/temp/phiz/bin"


# ---- the workflow


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    inputs = loaded("examples/ci/action.yml")["inputs"]
    jobs = loaded("examples/ci/workflow.yml")["jobs"].values()
    ours = [step for job in jobs for step in job["steps"] if "phiz/examples/ci@" in step.get("uses", "")]
    assert len(ours) == 2
    assert all(set(step.get("with", {})) <= set(inputs) for step in ours)


def test_what_the_workflow_uploads_is_what_the_action_writes(action: Callable[..., Any], project: Path) -> None:
    for job in loaded("examples/ci/workflow.yml")["jobs"].values():
        step = next(step for step in job["steps"] if "phiz/examples/ci@" in step.get("uses", ""))
        action(**{**step["with"], "baseline": ""})
    audit, scan = loaded("examples/ci/workflow.yml")["jobs"].values()
    assert (project / audit["steps"][-1]["with"]["path"]).stat().st_size > 1_000
    assert json.loads((project / scan["steps"][-1]["with"]["sarif_file"]).read_text())["version"] == "2.1.0"


# ---- pre-commit


def test_the_hook_runs(project: Path) -> None:
    (hook,) = loaded(".pre-commit-hooks.yaml")
    assert {"id", "name", "entry", "language"} <= set(hook)  # what pre-commit requires
    (repository,) = loaded("examples/ci/pre-commit-config.yaml")["repos"]
    assert [used["id"] for used in repository["hooks"]] == [hook["id"]]
    script = shlex.join(shlex.split(hook["entry"]))  # pre-commit splits it so, and no files follow
    assert hook["pass_filenames"] is False
    assert bash(script, project).returncode == 0
    (project / "student.safetensors").write_bytes(model(1_024))
    failed = bash(script, project)
    assert failed.returncode == 1
    assert "exceeds" in failed.stdout


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("models/student.tflite", True),
        ("a.onnx", True),
        ("a.onnx.data", True),
        ("a.onnx_data", True),
        ("s.mlpackage/Data/com.apple.CoreML/weights/weight.bin", True),
        ("phiz.toml", True),
        ("sub/pyproject.toml", True),
        ("README.md", False),
        ("my-phiz.toml", False),
    ],
)
def test_the_hook_runs_for_models_and_budgets(name: str, runs: bool) -> None:
    (hook,) = loaded(".pre-commit-hooks.yaml")
    assert bool(re.search(hook["files"], name)) == runs


# ---- GitLab


def gitlab(project: Path) -> subprocess.CompletedProcess[str]:
    """The job's lines in one shell, as GitLab's runner gives them to it."""
    origin = project.parent / "origin.git"
    if not origin.exists():
        git(project.parent, "clone", "--quiet", "--bare", str(project), str(origin))
        git(project, "remote", "add", "origin", str(origin))
    job = loaded("examples/ci/gitlab-ci.yml")["model-size"]
    script = "\n".join([*job["before_script"], *job["script"]])
    return bash(script, project, CI_DEFAULT_BRANCH="main", **{name: str(v) for name, v in job["variables"].items()})


def test_the_gitlab_job_holds_and_fails(project: Path) -> None:
    done = gitlab(project)
    assert done.returncode == 0, done.stderr
    assert "limits set by" in done.stdout
    job = loaded("examples/ci/gitlab-ci.yml")["model-size"]
    assert all((project / path).exists() for path in job["artifacts"]["paths"])
    report = project / job["artifacts"]["reports"]["junit"]
    assert etree.parse(report).getroot().get("failures") == "0"

    (project / "student.safetensors").write_bytes(model(272))  # 64 bytes more: within 2 kB, beyond 2 %
    done = gitlab(project)
    assert done.returncode == 1
    assert etree.parse(report).getroot().get("failures") == "1"
    assert "grew by 64 bytes" in done.stdout


# ---- published schemas


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("examples/ci/action.yml", "vendor.github-actions"),
        ("examples/ci/workflow.yml", "vendor.github-workflows"),
        ("examples/ci/gitlab-ci.yml", "vendor.gitlab-ci"),
    ],
)
def test_the_published_schema_holds(name: str, schema: str) -> None:
    published = get_builtin_schema(schema)
    validator = jsonschema.validators.validator_for(published)(published)
    data = {("on" if key is True else key): value for key, value in loaded(name).items()}  # YAML 1.1 reads `on` as true
    validator.validate(data)
    assert not validator.is_valid({**data, "runs": 1, "jobs": 1, "stages": 1})
