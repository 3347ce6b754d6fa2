from __future__ import annotations

import math
from typing import Any

import pytest

from bench.peers import standing


def test_ratios_are_to_the_least_and_to_phiz_round_by_round(results: dict[str, Any]) -> None:
    ours, floating, tuned = standing.lines(results, results["networks"][0])
    assert ours.least == pytest.approx(1.01)
    assert tuned.least == pytest.approx(1.04)
    assert (ours.ratio, floating.ratio, tuned.ratio) == (1.0, 3.0, 0.9)  # medians of three
    assert floating.sqnr == math.inf


def test_goals_hold_or_not_by_the_figures(results: dict[str, Any]) -> None:
    goals = {goal.text: goal for goal in standing.goals(results, results["networks"][0])}
    assert goals["onnxruntime: fewer bytes than every int8 peer"].holds is True
    assert goals["onnxruntime: 10 dB above every int8 peer of similar bytes"].holds is True
    slower = goals["onnxruntime: no slower than the fastest int8 peer"]
    assert slower.holds is False
    assert "1.11 times" in slower.detail
    assert goals["litert: fewer bytes than every int8 peer"].holds is None


def test_a_peer_of_other_bytes_is_not_compared_by_precision(results: dict[str, Any]) -> None:
    network = results["networks"][0]
    network["rows"][2]["artefacts"]["model.onnx"]["bytes"] = 1100
    goals = {goal.text: goal for goal in standing.goals(results, network)}
    goal = goals["onnxruntime: 10 dB above every int8 peer of similar bytes"]
    assert (goal.holds, goal.detail) == (None, "no peer has similar bytes")


def test_losses_are_told_and_the_float_model_is_no_rival(results: dict[str, Any]) -> None:
    network = results["networks"][0]
    assert standing.behind(results, network) == ["reference, onnxruntime: ort-tuned is faster: 91 µs against 100"]
    network["rows"][2]["artefacts"]["model.onnx"]["judged"]["sqnr"] = 50.0
    assert any(line.endswith("more precise: 50.0 dB against 42.0") for line in standing.behind(results, network))
    network["rows"][2]["artefacts"]["model.onnx"]["bytes"] = 1515
    assert any(line.endswith(", in 1.50 times the bytes") for line in standing.behind(results, network))


def test_compile_time_is_beside_the_two_peers_that_two_targets_take(results: dict[str, Any]) -> None:
    network = results["networks"][0]
    tflite = network["rows"][2] | {"peer": "litert", "seconds": 10.0}
    tflite["artefacts"] = {"model.tflite": network["rows"][2]["artefacts"]["model.onnx"] | {"runtime": "litert"}}
    network["rows"][3] = tflite
    network["rows"].append(network["rows"][0] | {"peer": "phiz", "seconds": 4.0})
    results["peers"]["phiz"] = results["peers"]["phiz-onnx"]
    *_, goal = standing.goals(results, network)
    assert goal.holds is True
    assert goal.detail == "4.0 s against 12.0 of ort-tuned and litert: 3.0 times, 2.0 in processor time"


def test_beside_phiz_stands_the_most_precise_peer_of_its_runtime(results: dict[str, Any]) -> None:
    network = results["networks"][0]
    artefact = network["rows"][2]["artefacts"]["model.onnx"]
    less = artefact | {"judged": artefact["judged"] | {"sqnr": 12.0}}
    network["rows"].insert(2, network["rows"][2] | {"artefacts": {"model.onnx": less}})
    ((ours, theirs),) = standing.pairs(standing.lines(results, network))
    assert (ours.peer, theirs.peer, theirs.sqnr) == ("phiz-onnx", "ort-tuned", 31.0)
