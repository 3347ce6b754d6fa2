"""Run a build's Core ML packages on a Mac and compare them with what the build expects.

`phiz compile` checks Core ML by evaluating the package with numpy. What Apple's runtime does with it on a CPU, a GPU
and the Neural Engine only a Mac can tell:

    pip install 'coremltools>=8.1' numpy
    python verify_coreml.py build/mobile

loads every .mlpackage of the build on every compute unit, runs the inputs of golden.npz and prints, for each output,
the signal to noise ratio against the float model and the largest distance to the quantised graph in quantisation
steps. A package that streams is given the hops of golden.npz, one after the other, with a state that Core ML keeps
(iOS 18, macOS 15) or with states that are given back to it; its ratio is against the quantised graph, for the float
model hears windows. Exit code 0: within the limits; 1: beyond one, or Core ML refuses a package; 2: nothing was
verified.

It needs this file, coremltools and numpy, and nothing else of phiz. examples/README.md has a GitHub Actions job.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STREAM = "+stream"  # behind the name of a target whose packages take hops
UNITS = ("CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL")
Arrays = dict[str, NDArray[np.float32]]
Predict = Callable[[Arrays], Arrays]
Load = Callable[[Path, str], Predict]


class Unverified(Exception):
    """Nothing could be compared; says why."""


@dataclass(frozen=True)
class Package:
    """A Core ML artefact of a build, and what to expect of it.

    Attributes:
        target: ``coreml``, or with a form.
        path: of the .mlpackage.
        sqnr: dB that numpy's evaluation reached; None when equal or unknown.
        steps: size of a quantisation step, by output.
        inputs: examples, by input; of a stream, hops in their order.
        expected: the quantised graph's answers, by output.
        reference: the float model's answers, by output; of a stream, those that are expected.
    """

    target: str
    path: Path
    sqnr: float | None
    steps: Mapping[str, float]
    inputs: Arrays
    expected: Arrays
    reference: Arrays


@dataclass(frozen=True)
class Limits:
    """How far an output may stand off: steps from the quantised graph, and dB lost against numpy's evaluation."""

    steps: float
    loss: float


@dataclass(frozen=True)
class Finding:
    """One output of one package on one compute unit; ``problem`` is empty where it is within the limits."""

    target: str
    unit: str
    output: str
    sqnr: float
    steps: float
    problem: str


def packages(build: Path) -> list[Package]:
    """The Core ML artefacts of a build folder.

    Raises:
        Unverified: it is no build folder, or has none.
    """
    try:
        manifest = json.loads((build / "manifest.json").read_text(encoding="utf-8"))
        with np.load(build / "golden.npz", allow_pickle=False) as golden:
            arrays = {name: golden[name] for name in golden.files}
        found = [
            _package(build, target, artefact["path"], manifest["parity"][target], arrays)
            for target, artefact in sorted(manifest["artifacts"].items())
            if target.removesuffix(STREAM).partition(":")[0] == "coreml"
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unverified(f"{build} is no folder that phiz compile wrote: {error!r}") from error
    if not found:
        raise Unverified(f"{build} holds no Core ML package")
    return found


def _package(build: Path, target: str, path: str, parity: Mapping[str, Any], golden: Arrays) -> Package:
    streams = target.endswith(STREAM)
    kind = "stream." if streams else ""
    inputs = f"{kind}input."
    outputs = [name.removeprefix("float.") for name in golden if name.startswith("float.")]
    expected = {
        name: golden.get(f"{kind}expected.{target}.{name}", golden[f"{kind}expected.{name}"]) for name in outputs
    }
    return Package(
        target,
        build / path,
        None if streams else parity.get("sqnr_db"),
        parity["step_sizes"],
        {name.removeprefix(inputs): array for name, array in golden.items() if name.startswith(inputs)},
        expected,
        expected if streams else {name: golden[f"float.{name}"] for name in outputs},
    )


def verify(package: Package, unit: str, predict: Predict, limits: Limits) -> list[Finding]:
    """Run every example in turn and judge every output."""
    count = len(next(iter(package.inputs.values())))
    answers = [predict({name: array[index] for name, array in package.inputs.items()}) for index in range(count)]
    findings = []
    for name, expected in package.expected.items():
        found = np.stack([answer[name].reshape(expected.shape[1:]) for answer in answers])
        noise = sqnr(package.reference[name], found)
        steps = float(np.abs(found.astype(np.float64) - expected).max()) / package.steps.get(name, np.nan)
        problem = _problem(found, noise, steps, package.sqnr, limits)
        findings.append(Finding(package.target, unit, name, noise, steps, problem))
    return findings


def _problem(found: NDArray[Any], noise: float, steps: float, evaluated: float | None, limits: Limits) -> str:
    if not np.isfinite(found).all():
        return "NaN or Inf"
    if not steps <= limits.steps + 1e-3:  # a step's own size is rounded; NaN is beyond any limit
        return f"more than {limits.steps:g} steps from the quantised graph"
    if evaluated is not None and noise < evaluated - limits.loss:
        return f"more than {limits.loss:g} dB below the {evaluated:.1f} dB of numpy's evaluation"
    return ""


def sqnr(reference: NDArray[Any], found: NDArray[Any]) -> float:
    """Signal to quantisation noise, dB; inf where they are equal."""
    signal = float((reference.astype(np.float64) ** 2).sum())
    noise = float(((found.astype(np.float64) - reference) ** 2).sum())
    return float("inf") if noise == 0 else float(10 * np.log10(signal / noise)) if signal > 0 else float("-inf")


def load(path: Path, unit: str) -> Predict:
    """The package on one compute unit, under the model's own names; macOS only.

    One that streams goes on from call to call, from its reset on.
    """
    import coremltools

    model = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit[unit])
    own = json.loads(model.user_defined_metadata.get("phiz.names", "{}"))
    theirs = {name: key for key, name in own.items()}
    states = json.loads(model.user_defined_metadata.get("phiz.stream", '{"states": []}'))["states"]
    fed_back = {state["input"]: state["output"] for state in states if state["input"] != state["output"]}
    kept = {"state": model.make_state()} if len(fed_back) < len(states) else {}
    features = {feature.name: feature.type.multiArrayType for feature in model.get_spec().description.input}
    now = {name: np.zeros(tuple(features[name].shape), np.float32) for name in fed_back}

    def predict(inputs: Arrays) -> Arrays:
        given = {theirs.get(name, name): array for name, array in inputs.items()}
        answers = model.predict({**given, **now}, **kept)
        now.update({name: np.asarray(answers.pop(output), np.float32) for name, output in fed_back.items()})
        return {own.get(key, key): np.asarray(array) for key, array in answers.items()}

    return predict


def run(build: Path, units: Sequence[str], limits: Limits, opener: Load) -> int:
    """Verify a build and print what was found; returns the exit code."""
    failures = 0
    for package in packages(build):
        for unit in units:
            try:
                findings = verify(package, unit, opener(package.path, unit), limits)
            except Unverified:
                raise
            except Exception as error:  # whatever Core ML raises is what this script is there to find out
                print(f"{package.target:20} {unit:12} FAIL  {type(error).__name__}: {error}")
                failures += 1
                continue
            for found in findings:
                verdict = f"FAIL  {found.problem}" if found.problem else "pass"
                figures = f"{found.sqnr:6.1f} dB  {found.steps:7.3f} steps"
                print(f"{found.target:20} {found.unit:12} {found.output:20} {figures}  {verdict}")
                failures += bool(found.problem)
    print(f"{failures} of the above beyond the limits" if failures else "Core ML agrees with the build")
    return 1 if failures else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Run a build's Core ML packages on this Mac.")
    parser.add_argument("build", type=Path, help="a folder that phiz compile wrote")
    parser.add_argument("--unit", action="append", choices=UNITS, help="may repeat; default: all four")
    parser.add_argument("--max-steps", type=float, default=3.0, help="from the quantised graph; default: 3")
    parser.add_argument("--max-loss", type=float, default=3.0, help="dB below numpy's evaluation; default: 3")
    given = parser.parse_args(arguments)
    try:
        if platform.system() != "Darwin":
            raise Unverified("needs macOS")
        return run(given.build, given.unit or UNITS, Limits(given.max_steps, given.max_loss), load)
    except Unverified as why:
        print(f"not run: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
