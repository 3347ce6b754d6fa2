"""The reference student, trained on real labels: what the issue of the compiler promises about bytes and precision.

Its speech is espeak-ng's, in voices that training never heard; of it, calibration and judgement hear different
sentences. How fast it is, is for ``python -m bench.latency`` to say.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compile import capture, samples
from compile.audit.budget import caps
from compile.build import Built, build
from compile.quantize.recipe import PROFILES
from compile.request import Request
from targets.catalogue import USUAL

pytest.importorskip("torch")
pytest.importorskip("espeakng_loader")
STUDENT = Path(__file__).parents[1] / "examples" / "reference"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    from distill import audio
    from distill.corpus import sources as corpus
    from distill.students import folder as students

    folder = tmp_path_factory.mktemp("reference")
    sources = corpus.synthesize(folder / "speech", corpus.plan(48, seed=0, split=corpus.HELD_OUT))
    captured = capture.from_module(*students.load(STUDENT))
    split = samples.from_clips(captured, [audio.decode(source.path) for source in sources], 256)
    budget = caps({"footprint": 3_400_000, "file": 3_400_000})
    request = Request(USUAL, PROFILES["int8"], split, budget, None, None, folder / "build")
    return build(captured, request, lambda *_: None)


def test_at_least_42_db_in_every_target(built: Built) -> None:
    assert built.failures == ()
    found = {row.target: row.parity.sqnr_db for row in built.report.rows}
    assert set(found) == {"onnx", "tflite", "coreml"}
    assert all(sqnr is not None and sqnr >= 42 for sqnr in found.values()), found


def test_targets_agree_on_speech(built: Built) -> None:
    """Within one step of each other; Core ML, which computes in float16, within two of its own graph."""
    parity = json.loads((built.folder / "manifest.json").read_text())["parity"]
    assert parity["tflite"]["steps_from"]["onnx"] <= 1
    assert parity["coreml"]["steps"] <= 2


def test_at_most_2_percent_above_the_least_bytes(built: Built) -> None:
    ratios = {row.target: row.ratio for row in built.report.rows}
    assert all(ratio is not None and 1 < ratio <= 1.02 for ratio in ratios.values()), ratios


def test_litert_runs_it_in_one_partition(built: Built) -> None:
    from targets.tflite.run import delegation

    assert delegation(built.folder / "student.tflite").whole
