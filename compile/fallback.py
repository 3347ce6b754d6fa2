"""``--fallback litert-torch``: the ai-edge road to TFLite, for networks that hold what phiz has no form of.

Asked for, or not taken; and taken only where the direct road refused. litert-torch converts the torch module (and
folds its BatchNorm), ai-edge-quantizer quantises it with its own recipes, on true ranges over our calibration samples.
What comes out is held against the captured float model and audited as any artefact; there is no quantised graph to
count steps from. The console and the manifest say which road made the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from compile import manifest, parity
from compile.audit.report import Report
from compile.errors import MissingExtra, UnsupportedNode, UserError
from compile.landing import Product, land
from compile.model import Model
from compile.quantize.calibrate import batches
from compile.quantize.measure import sqnr
from compile.quantize.scheme import Scheme
from compile.quiet import silent
from compile.request import Progress, Request
from targets.base import Artifact
from targets.catalogue import find
from targets.tflite.adopt import adopt

if TYPE_CHECKING:
    import torch

NAME = "litert-torch"
FLAG = f"--fallback {NAME}"
TARGET = "tflite"
# Float32 rounds at about 140 dB; a conversion that leaves less than this computes another network.
CONVERSION_DB = 80.0
_SIGNATURE = "serving_default"
_PACKAGES = ("litert-torch", "litert-converter", "ai-edge-quantizer")


@dataclass(frozen=True)
class Borrowed:
    """What came of the other road.

    Attributes:
        folder: where the artefact is: the request's, or beside it as rejected.
        because: why the direct road was not taken.
        scheme: what ai-edge-quantizer made of the whole network.
        left_out: targets that this road does not lead to.
        report: of the auditor.
    """

    folder: Path
    because: str
    scheme: Scheme
    left_out: tuple[str, ...]
    report: Report

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the build is rejected, one line each; empty when it is accepted."""
        return self.report.failures


def build(
    captured: Model, module: torch.nn.Module, request: Request, refusal: UnsupportedNode, progress: Progress
) -> Borrowed:
    """Convert, quantise, check and audit; the folder appears whole, under its final name or as rejected.

    Args:
        captured: from ``compile.capture``.
        module: what was captured.
        request: what to build; of its targets only TFLite is.
        refusal: why the direct road ends.
        progress: told of every stage.

    Raises:
        UserError: TFLite was not asked for, a rule names nodes, or litert-torch cannot convert the module.
        MissingExtra: litert-torch or ai-edge-quantizer is not installed.
    """
    chosen = tuple(target for target in request.targets if target.name == TARGET)
    if not chosen:
        raise refusal
    if any(rule.given for rule in request.profile.recipe):
        fix = "leave out --rule and [quantize] rules"
        raise UserError("rules name nodes, and this road knows none", where=FLAG, fix=fix)
    scheme = request.profile.recipe[0].scheme

    progress("convert", 0, 1)
    against = parity.float_reference(captured, request.samples.judge)
    data = convert(module, captured, tuple(against.float_outputs))
    _require_equal(data, against)
    feeds = batches(captured, request.samples.calibrate)
    data = adopt(quantise(data, scheme, feeds, partial(progress, "quantise")), captured.metadata)

    name = f"{captured.ir.graph.name}.tflite"
    road = {
        "road": {
            "name": NAME,
            "because": str(refusal),
            "scheme": scheme.value,
            "versions": manifest.installed_versions(_PACKAGES),
        }
    }
    product = Product((Artifact(TARGET, name, {name: data}),), against, road, {})
    folder, report = land(captured, replace(request, targets=chosen), product, progress)
    left_out = tuple(target.name for target in request.targets if target.name != TARGET)
    return Borrowed(folder, str(refusal), scheme, left_out, report)


def convert(module: torch.nn.Module, captured: Model, outputs: Sequence[str]) -> bytes:
    """``module`` as a float TFLite file, whose signature has the names of the captured model.

    Raises:
        UserError: litert-torch cannot; says why.
    """
    with _tools():
        import litert_torch
        import torch

    names = [port.name for port in captured.inputs]

    class Named(torch.nn.Module):  # what has names in Python has them in the file
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, **inputs: Any) -> dict[str, Any]:
            results = self.inner(*(inputs[name] for name in names))
            return dict(zip(outputs, results if isinstance(results, tuple | list) else (results,), strict=True))

    named = Named()
    if not isinstance(module, torch.fx.GraphModule):  # an exported program has no modes, and says so
        named.eval()
    named.training = False
    samples = {port.name: torch.zeros(port.shape) for port in captured.inputs}
    try:
        with silent(), torch.no_grad(), TemporaryDirectory() as folder:
            path = Path(folder) / "float.tflite"
            litert_torch.convert(named, sample_kwargs=samples).export(str(path))
            return path.read_bytes()
    except Exception as error:  # it raises what torch, MLIR and its own code raise
        raise UserError(f"{NAME} cannot convert the network: {_first_line(error)}", where=FLAG) from error


def quantise(data: bytes, scheme: Scheme, feeds: Sequence[Mapping[str, np.ndarray[Any, Any]]], progress: Any) -> bytes:
    """The file in ``scheme`` throughout, by ai-edge-quantizer; inputs and outputs stay float32.

    Its usual calibration averages ranges from sample to sample, which loses peaks; here they are the true ones.
    """
    if scheme == Scheme.FLOAT:
        return data
    with _tools():
        from ai_edge_quantizer import calibrator, quantizer
        from ai_edge_quantizer.utils import qsv_utils
    recipes = _recipe(scheme)
    ranges = None
    with silent():
        tool = quantizer.Quantizer(data, recipes.get_quantization_recipe())
        observer = calibrator.Calibrator(data, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    if tool.need_calibration:
        for count, feed in enumerate(feeds, start=1):
            with silent():
                observer.calibrate({_SIGNATURE: [feed]}, recipes)
            progress(count, len(feeds))
        ranges = observer.get_model_qsvs()
    with silent():
        made = tool.quantize(ranges, enable_progress_bar=False, enable_progress_report=False).quantized_model
    return bytes(made)


def _recipe(scheme: Scheme) -> Any:
    """ai-edge-quantizer's recipe of a scheme."""
    from ai_edge_quantizer import qtyping, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    recipe = recipe_manager.RecipeManager()
    operators = qtyping.TFLOperationName
    if scheme == Scheme.W8A8:
        recipe.add_static_config(".*", operators.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
        for port in (operators.INPUT, operators.OUTPUT):
            recipe.add_quantization_config(".*", port, algorithm_key=AlgorithmName.NO_QUANTIZE)
    elif scheme == Scheme.W8_DYNAMIC:
        recipe.add_dynamic_config(".*", operators.ALL_SUPPORTED, num_bits=8)
    elif scheme == Scheme.W8:
        recipe.add_weight_only_config(".*", operators.ALL_SUPPORTED, num_bits=8)
    else:
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=half, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
        )
        recipe.add_quantization_config(".*", operators.ALL_SUPPORTED, config, AlgorithmName.FLOAT_CASTING)
    return recipe


def _require_equal(data: bytes, against: parity.References) -> None:
    """The float conversion must be the captured network, before anything is quantised."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(adopt(data, {}))
        outputs = parity.run(parity.opened(find(TARGET), path), against)
    if isinstance(outputs, str):
        raise UserError(f"the conversion cannot be checked: {outputs}", where=FLAG)
    reached = sqnr(against.float_outputs, outputs)
    if not reached >= CONVERSION_DB:  # NaN too
        what = f"{NAME} made another network of it: {reached:.1f} dB from the captured one, not {CONVERSION_DB:g}"
        raise UserError(what, where=FLAG)


@contextmanager
def _tools() -> Iterator[None]:
    """Import of the extra's packages, which take seconds and talk."""
    try:
        with silent():
            yield
    except ImportError as error:
        raise MissingExtra(FLAG, "litert", error.name or "litert_torch") from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
