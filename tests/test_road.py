"""The whole road with the shape of a real student: small files, one partition, targets that agree.

The weights are random and the batch norms are not trivial, so that every layer matters; the speech is espeak-ng's.
What a trained student's lips do is judged by ``phiz demo``, which fails with exit code 1 below its goals.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compile import capture, samples
from compile.audit.budget import caps
from compile.build import Built, build
from compile.quantize.recipe import PROFILES, Profile
from compile.request import Request
from targets.catalogue import USUAL

torch = pytest.importorskip("torch")
pytest.importorskip("espeakng_loader")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Built]:
    from distill import audio
    from distill.corpus import sources as corpus
    from distill.students import folder as students

    folder = tmp_path_factory.mktemp("road")
    sources = corpus.synthesize(folder / "speech", corpus.plan(12, seed=1, split=corpus.HELD_OUT))
    clips = [audio.decode(source.path) for source in sources]
    done: dict[str, Built] = {}

    def make(architecture: str, profile: Profile = PROFILES["int8"], least: float = 30.0) -> Built:
        if architecture not in done:
            torch.manual_seed(0)
            student = students.build(students.architecture(architecture))
            for layer in student.modules():
                if isinstance(layer, torch.nn.BatchNorm1d):
                    layer.running_mean.uniform_(-0.3, 0.3)
                    layer.running_var.uniform_(0.5, 2)
                    torch.nn.init.uniform_(layer.weight, 0.5, 2)
                    torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
            students.save(student, folder / architecture)
            captured = capture.from_module(*students.load(folder / architecture))
            split = samples.from_clips(captured, clips, 96)
            budget = caps({"footprint": 3_400_000, "file": 3_400_000})
            out = folder / f"build-{architecture}"
            request = Request(USUAL, profile, split, budget, least, None, out)
            done[architecture] = build(captured, request, lambda *_: None)
        return done[architecture]

    return make


@pytest.mark.parametrize("architecture", ["tiny", "small"])
def test_build_passes_its_gates(built: Callable[[str], Built], architecture: str) -> None:
    """At least 30 dB, the steps of compile/parity.py, 3.4 MB for footprint and file."""
    result = built(architecture)
    assert result.failures == ()
    assert all(row.parity.sqnr_db is not None and row.parity.sqnr_db >= 30 for row in result.report.rows)


@pytest.mark.parametrize("architecture", ["tiny", "small"])
def test_files_are_close_to_the_least_they_can_be(built: Callable[[str], Built], architecture: str) -> None:
    ratios = {row.target: row.ratio for row in built(architecture).report.rows}
    assert set(ratios) == {"onnx", "tflite", "coreml"}
    assert all(ratio is not None and 1 < ratio <= 1.06 for ratio in ratios.values()), ratios


@pytest.mark.parametrize("architecture", ["tiny", "small"])
def test_the_auditor_finds_nothing_to_be_won(built: Callable[[str], Built], architecture: str) -> None:
    """Nor weights in another dtype than the plan gives them; random ones have no channels that are zero."""
    assert [(row.target, finding) for row in built(architecture).report.rows for finding in row.findings] == []


@pytest.mark.parametrize("architecture", ["tiny", "small"])
def test_litert_runs_one_partition_without_transposes(built: Callable[[str], Built], architecture: str) -> None:
    from ai_edge_litert import schema_py_generated as schema

    from targets.tflite.run import delegation

    path: Path = built(architecture).folder / "student.tflite"
    assert delegation(path).whole
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    assert schema.BuiltinOperator.TRANSPOSE not in {code.builtinCode for code in model.operatorCodes}


def test_log_mels_compile_by_themselves(built: Callable[..., Built]) -> None:
    """Random weights behind a front of float values; 20 dB and the steps of compile/parity.py, on all targets."""
    result = built("tiny-mel", least=20.0)
    assert result.failures == ()
    schemes = {name: decision.scheme.value for name, decision in result.plan.decisions.items()}
    front, rest = (dict(half) for half in _cut(list(schemes.items()), "log"))
    assert not {"w8a8", "w8-dynamic"} & set(front.values())
    assert list(rest.values()).count("w8a8") > 20  # but what is lifted for its price
    assert all(result.plan.decisions[name].because for name in front)
    tflite = result.folder / "student.tflite"
    from targets.tflite.run import delegation

    assert delegation(tflite).whole  # the logarithm, too


def _cut(rows: list[tuple[str, str]], first: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Up to and with the row whose name begins so, and what follows."""
    edge = next(index for index, (name, _) in enumerate(rows) if name.startswith(first)) + 1
    return rows[:edge], rows[edge:]


def test_students_have_the_sizes_they_claim() -> None:
    from distill.students import folder as students

    sizes = {
        name: sum(p.numel() for p in students.build(students.architecture(name)).parameters())
        for name in ("tiny", "small")
    }
    assert 200_000 <= sizes["tiny"] <= 300_000
    assert 2_500_000 <= sizes["small"] <= 3_500_000
