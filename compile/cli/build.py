"""``phiz compile``: a network becomes audited artefacts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.progress import Stages
from compile.errors import GateFailed, UnsupportedNode, UserError

if TYPE_CHECKING:
    from compile.build import Built
    from compile.config import BuildConfig
    from compile.fallback import Borrowed
    from compile.quantize.ranges import Method
    from compile.quantize.recipe import Profile

_RECORDS = frozenset({"manifest.json", "audit.json", "golden.npz", "errors.json", "report.html"})


def build(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Student folder, model.onnx, model.pt2 or package.module:factory; left out, phiz.toml's.",
            show_default=False,
        ),
    ] = "",
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", metavar="TARGET", help="onnx, tflite, coreml, c, onnx:unity …; may repeat."),
    ] = None,
    cap: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Budget such as 3.4MB for the footprint and for each file.")
    ] = None,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Speech: audio files, folders or quoted globs, may repeat; or one .npz of arrays, batch first.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Build folder. Default: build/NAME.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Builds and options. Default: phiz.toml or pyproject.toml if MODEL is left out or --build is given.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--build", metavar="NAME", help="Only this [build.NAME]; may repeat.")
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(metavar="SCHEME", help="Recipe: int8, w8a8, w8-dynamic, w8, float16 or float. Default: int8."),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="'SCHEME on OPERATOR under SCOPE', after the recipe; may repeat."),
    ] = None,
    ranges: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="How activations get their ranges: output, mse, min-max or 'percentile 99.9'. Default: output.",
        ),
    ] = None,
    bias_correction: Annotated[
        bool | None,
        typer.Option("--bias-correction/--no-bias-correction", help="Let biases take back what rounding shifts."),
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Say which layers cause the error; also as errors.json.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Also write report.html: sizes, curves, parity and errors on one page.")
    ] = False,
    min_sqnr: Annotated[
        str | None,
        typer.Option(metavar="DECIBEL", help="Lift layers until all targets have this, such as '30 dB'; fail below."),
    ] = None,
    max_steps: Annotated[
        float | None, typer.Option(metavar="STEPS", help="Fail beyond this many quantisation steps between targets.")
    ] = None,
    windows: Annotated[
        int | None,
        typer.Option(metavar="COUNT", help="Windows of speech to calibrate on; half as many judge. Default: 256."),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZES", help="Fix a dynamic ONNX input: x=1x8192; may repeat."),
    ] = None,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream", help="Write every artefact also as a stream: each hop of audio costs one hop."
        ),
    ] = None,
    fallback: Annotated[
        str | None,
        typer.Option(metavar="ROAD", help="litert-torch: let it convert to TFLite what phiz has no form of."),
    ] = None,
) -> None:
    """Compile a network: simplify, quantise once, write every target, check parity, audit."""
    from compile import config as configuration
    from compile.cli.settings import configured_model, merge, named_profile, require_builds
    from compile.quantize.ranges import find

    asked = bool(config or only or not model)
    place = config or (configuration.discover(Path()) if asked else None) or Path(configuration.NAME)
    settings = configuration.load(place) if asked else None
    if settings is not None and only is not None:
        require_builds(settings, only)
    reference = model or configured_model(settings)
    builds = merge(settings, cap, target, out, only, reference)
    if stream is not None:
        builds = [(replace(build, stream=stream), folder) for build, folder in builds]
    base = settings or configuration.Config(folder=Path())
    sqnr = configuration.parse_decibel(min_sqnr, "--min-sqnr") if min_sqnr is not None else base.min_sqnr
    where = f"{place}, [quantize] scheme" if scheme is None else "--scheme"
    profile = named_profile(where, base.scheme if scheme is None else scheme, (*base.rules, *(rule or ())), sqnr)
    steps = base.max_steps if max_steps is None else configuration.check_steps(max_steps, "--max-steps")
    count = base.windows if windows is None else configuration.check_windows(windows, "--windows")
    audio = calibrate or [str(base.folder / pattern) for pattern in base.audio]
    budget = "--cap" if cap is not None or settings is None else place.name
    shapes = tuple(shape or ())
    where = f"{place}, [calibrate] ranges" if ranges is None else "--ranges"
    method = find(base.ranges if ranges is None else ranges, where)
    correcting = base.bias_correction if bias_correction is None else bias_correction
    if fallback not in (None, "litert-torch"):
        raise UserError(f"unknown road '{fallback}'", where="--fallback", fix="there is one: litert-torch")
    run_builds(
        Job(
            *(
                reference,
                builds,
                profile,
                audio,
                count,
                shapes,
                sqnr,
                steps,
                budget,
                method,
                correcting,
                errors,
                report,
            ),
            fallback=fallback is not None,
        )
    )


@dataclass(frozen=True)
class Job:
    """Everything that ``phiz compile`` was asked for.

    Attributes:
        model: as ``source.read_model`` takes it.
        builds: what to build, and where.
        profile: of quantisation.
        calibrate: as ``source.read_samples`` takes it.
        windows: to calibrate on.
        shapes: ``NAME=1x8192`` of dynamic inputs.
        min_sqnr: gate in dB; None for none.
        max_steps: gate in quantisation steps; None for the built-in one.
        budget: where the caps were set, for people.
        ranges: how much of each activation is worth covering; None for the usual method.
        bias_correction: whether biases take back what rounding shifts.
        errors: whether to report every layer's error.
        page: whether to write ``report.html``.
        fallback: whether litert-torch may convert what the direct road refuses.
    """

    model: str
    builds: list[tuple[BuildConfig, Path]]
    profile: Profile
    calibrate: list[str]
    windows: int = 256
    shapes: tuple[str, ...] = ()
    min_sqnr: float | None = None
    max_steps: float | None = None
    budget: str = "--cap"
    ranges: Method | None = None
    bias_correction: bool = True
    errors: bool = False
    page: bool = False
    fallback: bool = False


def run_builds(job: Job) -> list[Built | Borrowed]:
    """Capture once, then make every build; prints each, and raises GateFailed at the end if any failed."""
    from compile.audit.budget import caps
    from compile.build import Built
    from compile.build import build as make
    from compile.cli.describe import describe
    from compile.cli.source import parse_shapes, read_network, read_samples
    from compile.quantize.ranges import OUTPUT
    from compile.request import Request
    from targets.catalogue import find

    builds = [
        (config, free_build_folder(out), tuple(find(name) for name in config.artefacts)) for config, out in job.builds
    ]
    shapes = parse_shapes(job.shapes)
    console = screen()
    results: list[Built | Borrowed] = []
    with Stages() as stages:
        stages("capture", 0, 1)
        captured, module = read_network(job.model, shapes)
        if job.fallback and module is None:
            fix = "give the torch network itself, or leave the flag out"
            raise UserError("an .onnx file holds no torch module to convert", where="--fallback litert-torch", fix=fix)
        samples = read_samples(captured, job.calibrate, job.windows)
        for config, out, targets in builds:
            budget = caps({"footprint": config.footprint, "file": config.file}, job.budget)
            gates = (job.min_sqnr, job.max_steps)
            request = Request(
                *(targets, job.profile, samples, budget, *gates, out),
                *(job.ranges or OUTPUT, job.bias_correction, job.errors, job.page),
            )
            try:
                results.append(make(captured, request, stages))
            except UnsupportedNode as refusal:
                streams = any(target.streams for target in targets)  # the other road makes none
                if module is None or streams or not (job.fallback or "tflite" in config.targets):
                    raise
                if not job.fallback:
                    fix = "--fallback litert-torch would convert it to TFLite by another road"
                    raise UserError(refusal.what, fix=fix) from refusal
                from compile import fallback

                results.append(fallback.build(captured, module, request, refusal, stages))
    for built in results:
        describe(built, console)
    if job.profile.goal is None and any(isinstance(built, Built) and built.prices for built in results):
        console.print("This scheme is for every layer; the default, int8, lifts layers until the quality holds.")
    if not samples.trusted:
        console.print(
            "Calibrated on random input: the SQNR above is not to be trusted. Give --calibrate real input.",
            style="yellow",
        )
    failed = [f"{built.folder}: {line}" for built in results for line in built.failures]
    if failed:
        raise GateFailed("rejected\n  " + "\n  ".join(failed))
    return results


def free_build_folder(out: Path) -> Path:
    """``out`` by a name that can be replaced.

    Raises:
        UserError: it, or the folder for rejected builds beside it, holds what phiz did not write.
    """
    from compile.files import plain_folder, require_replaceable
    from compile.landing import rejected
    from targets.catalogue import TARGETS

    def ours(name: str) -> bool:
        suffixes = "|".join(re.escape(suffix) for target in TARGETS for suffix in (target.suffix, *target.beside))
        return name in _RECORDS or re.fullmatch(rf"student(\.\w+){{0,2}}({suffixes})", name) is not None

    out = plain_folder(out)
    for folder in (out, rejected(out)):
        require_replaceable(folder, ours, "a phiz build folder")
    return out
