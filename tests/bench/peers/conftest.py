from __future__ import annotations

from typing import Any

import pytest


def _row(
    peer: str, name: str, runtime: str, size: int, sqnr: float | None, minimum: int | None = None
) -> dict[str, Any]:
    judged = {"sqnr": sqnr, "face": {"closure.f1": 0.9}, "version": "1"}
    artefact = {"runtime": runtime, "bytes": size, "judged": judged, "memory": {"bytes": 9_000_000}}
    facts = {"peer": peer, "artefacts": {name: artefact}, "minimum": minimum, "equal": True, "lines": 7}
    return facts | {"seconds": 2.0, "processor": 1.5, "peak": 300_000_000}


@pytest.fixture
def results() -> dict[str, Any]:
    """What a run leaves: phiz, a peer on the same runtime, the float model, and one that failed."""
    rows = [
        _row("phiz-onnx", "student.onnx", "onnxruntime", 1010, 42.0, 1000),
        _row("onnx-float", "model.onnx", "onnxruntime", 4000, None),
        _row("ort-tuned", "model.onnx", "onnxruntime", 1040, 31.0),
        {"peer": "litert", "error": "ValueError: no | such thing"},
    ]
    times = {
        "phiz-onnx/student.onnx": {"median": 100.0, "p99": 130.0, "rounds": [100.0, 100.0, 100.0]},
        "onnx-float/model.onnx": {"median": 300.0, "p99": 330.0, "rounds": [300.0, 300.0, 300.0]},
        "ort-tuned/model.onnx": {"median": 91.0, "p99": 120.0, "rounds": [90.0, 80.0, 95.0]},
    }
    about = {"about": "as it comes", "room": "onnxruntime", "int8": True, "pins": ["onnxruntime==1"]}
    return {
        "machine": {"processor": "Some CPU", "instructions": ["avx2"], "cores": 2, "usable": 2, "memory": 8 * 10**9}
        | {"system": "Linux x86_64", "python": "3.11.7"},
        "manner": {"builds": 2, "sentences": 60, "rounds": 60},
        "rooms": {"onnxruntime": {"bytes": 250_000_000, "versions": {}}},
        "failed rooms": {"olive": "pip: no matching distribution"},
        "speech": {"calibrate": 48, "judge": 60, "seconds": 180.0},
        "peers": {
            "phiz-onnx": about | {"room": "phiz"},
            "onnx-float": about | {"int8": False},
            "ort-tuned": about,
            "litert": about | {"room": "litert"},
        },
        "networks": [
            {
                "name": "reference",
                "about": "trained",
                "parameters": 1000,
                "window": 8192,
                "rows": rows,
                "times": times,
                "faces": {"float": {"closure.f1": 0.93}},
                "streams": [],
            }
        ],
    }
