"""Two processes make the student that one makes; batch norms and gradients are those of the whole batch."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill.labels.cache import Labels
from distill.students import folder as students
from distill.training import recipe

torch = pytest.importorskip("torch")

from distill.training import parallel  # noqa: E402 (torch may be absent)
from distill.training.pipeline import perform  # noqa: E402

TOGETHER = Path(__file__).with_name("together.py")

RECIPE = """
labels = "{labels}"
[[stage]]
name = "{name}"
batch = 4
frames = 20
steps = 3
warm_up = 2
evaluate_every = 3
ema = 0.9
"""


def test_two_processes_do_what_one_does(labelled: Labels, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(RECIPE.format(labels=labelled.folder, name=name))
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", str(TOGETHER)]
    command = [sys.executable, "-m", *launcher, str(tmp_path / "two.npz"), str(tmp_path / "two.toml")]
    ran = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["train two 1", "train two 2", "train two 3"]  # only rank 0 speaks

    expected = runpy.run_path(str(TOGETHER))["gradients"](parallel.ALONE)
    with np.load(tmp_path / "two.npz") as found:
        assert set(found) == set(expected)
        for name, value in expected.items():
            # Float32 sums in another order, forward and back through twelve layers. With batch norms of its own rows,
            # every process would be tens of per cent away.
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=2e-4 * np.abs(value).max(), err_msg=name)

    plan = recipe.read(tmp_path / "one.toml")
    perform(plan, parallel.ALONE, lambda *_: None)
    one, two = (students.read_facts(tmp_path / "students" / name)["training"] for name in ("one", "two"))
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)  # Adam enlarges what is small: three of its steps
    assert two["held_out"] == pytest.approx(one["held_out"], rel=1e-2, abs=1e-3)
    assert sorted(path.name for path in (tmp_path / "students").iterdir()) == ["one", "two"]  # nothing half-written


def test_a_batch_that_cannot_be_divided_is_refused(labelled: Labels, tmp_path: Path) -> None:
    from distill.training.stage import Recipe, Stage
    from distill.training.train import train

    with pytest.raises(UserError, match=r"batch of 3 .* 2 processes"):
        train([labelled], Stage("s", tmp_path / "s", recipe=Recipe(batch=3)), parallel.World(0, 2))


def test_devices() -> None:
    with parallel.join("cpu") as world:
        assert world == parallel.World(0, 1, "cpu")
    with pytest.raises(UserError, match="unknown device 'gpu'"), parallel.join("gpu"):
        pass
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="has no cuda"), parallel.join("cuda"):
            pass


def test_the_variance_of_vectors_by_a_second_formula() -> None:
    x = np.random.default_rng(0).normal(3, 2, (3, 5, 4)).astype(np.float32)
    ours = float(parallel.variance(torch.from_numpy(x), parallel.ALONE))
    assert ours == pytest.approx(x.reshape(-1, 4).var(axis=0).mean(), rel=1e-5)  # float32
