"""From artefacts in memory to a folder that has been run, judged and audited, and appears whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compile import manifest, parity
from compile.audit.auditor import audit
from compile.audit.render import as_json
from compile.audit.report import Report
from compile.examples import replayed, within
from compile.files import landing_folder
from compile.model import Model
from compile.quantize.layers import LayerErrors
from compile.quantize.measure import Outputs
from compile.report.page import Facts, render
from compile.report.spoken import Spoken, laid_over, speak
from compile.request import Progress, Request
from targets.base import Artifact, Examples, Runner
from targets.stream import Stream

PAGE = "report.html"


@dataclass(frozen=True)
class Product:
    """What a road made of a model, before it is judged.

    Attributes:
        artifacts: their targets are the request's.
        against: what they are held against.
        road: what the manifest says of the road: its name, and how it went.
        least: the least bytes of each artefact's weights, by target, where that is known.
        records: further reports by file name.
        streams: the hub graphs of the artefacts that stream, by target.
        examples: for the artefacts that test themselves, by target.
        errors: layer by layer, one report a plan, where they were measured.
    """

    artifacts: tuple[Artifact, ...]
    against: parity.References
    road: Mapping[str, Any]
    least: Mapping[str, int]
    records: Mapping[str, bytes] = field(default_factory=dict)
    streams: Mapping[str, Model] = field(default_factory=dict)
    examples: Mapping[str, Examples] = field(default_factory=dict)
    errors: tuple[LayerErrors, ...] = ()


@dataclass(frozen=True)
class _Heard:
    """What the artefacts said, by target: to the judging samples, how that compares, and to the page's passage."""

    outputs: Mapping[str, Outputs | str]
    results: Mapping[str, parity.Parity]
    spoken: Spoken | None


def land(captured: Model, request: Request, product: Product, progress: Progress) -> tuple[Path, Report]:
    """Write what a road made, run it, judge it; the folder appears whole, under its final name or as rejected."""
    final, against = request.out, product.against
    targets = {target.name: target for target in request.targets}
    flows = {each.target: parity.stream_of(targets[each.target], each) for each in product.artifacts}
    streams = {target: stream for target, stream in flows.items() if stream is not None}
    with landing_folder(final) as landing:
        write(product.artifacts, landing.folder)
        heard = _hear(captured, request, product, landing.folder, streams, progress)
        proved = {
            each.target: targets[each.target].prove(
                each, within(product.examples[each.target], heard.results[each.target])
            )
            for each in product.artifacts
            if each.target in product.examples
        }
        write(tuple(proved.values()), landing.folder)
        progress("audit", 0, 1)
        description = manifest.describe(
            captured,
            against,
            product.road,
            tuple(proved.get(each.target, each) for each in product.artifacts),
            heard.results,
            {limit.subject: limit.most.bytes for limit in request.budget.limits},
            product.least,
            _calibration(request),
            product.records,
            streams,
        )
        (landing.folder / "manifest.json").write_bytes(manifest.to_json(description))
        for name, data in product.records.items():
            (landing.folder / name).write_bytes(data)
        (landing.folder / "golden.npz").write_bytes(manifest.golden(against, heard.outputs, product.streams, streams))
        report = audit(landing.folder, (request.budget,))
        (landing.folder / "audit.json").write_bytes(as_json.render(report))
        if heard.spoken is not None:
            page = render(Facts(report, description, heard.results, product.errors, heard.spoken))
            (landing.folder / PAGE).write_bytes(page)
        if report.failures:
            landing.divert(rejected(final))
    return landing.final, report


def _hear(
    captured: Model,
    request: Request,
    product: Product,
    folder: Path,
    streams: Mapping[str, Stream],
    progress: Progress,
) -> _Heard:
    """Open each artefact in ``folder`` once, and hear all that it has to say; then it is closed, for folders move."""
    against, targets = product.against, {target.name: target for target in request.targets}
    runners: dict[str, Runner | str] = {}
    outputs: dict[str, Outputs | str] = {}
    for artifact in product.artifacts:
        name = artifact.target
        tell = partial(progress, f"parity {name}")
        runners[name] = parity.opened(targets[name], folder / artifact.name)
        outputs[name] = parity.run(runners[name], against, tell, streams.get(name))
    compared = parity.compare(outputs, against)
    for name, given in product.examples.items():
        runner = runners[name]
        if not isinstance(runner, str):  # so no self-test fails here that has not failed its build
            compared[name] = compared[name].also(parity.HUB, replayed(given, runner, streams.get(name)))
    results = parity.judge(compared, request.min_sqnr, request.max_steps)
    passage = request.samples.passage
    if not request.page:
        spoken = None
    elif passage is None:
        known = {name: given for name, given in outputs.items() if not isinstance(given, str)}
        spoken = laid_over(captured, against.float_outputs, known, request.targets)
    else:
        spoken = speak(captured, passage, request.targets, runners, streams, progress)
    return _Heard(outputs, results, spoken)


def write(artifacts: tuple[Artifact, ...], folder: Path) -> None:
    """Put every file of every artefact under ``folder``."""
    for artifact in artifacts:
        for name, data in artifact.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def rejected(out: Path) -> Path:
    """Where a build goes that fails a gate: beside its final name, never under it."""
    return out.with_name(f"{out.name}.rejected")


def _calibration(request: Request) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name, array in sorted(request.samples.calibrate.items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    first = next(iter(request.samples.calibrate.values()))
    judged = next(iter(request.samples.judge.values()))
    return {
        "origin": request.samples.origin,
        "trusted": request.samples.trusted,
        "ranges": request.ranges.name,
        "bias_correction": request.bias_correction,
        "samples": len(first),
        "judged": len(judged),
        "sha256": digest.hexdigest(),
    }
