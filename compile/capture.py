"""A network becomes a Model: from a torch module, a ``.pt2`` archive or an ``.onnx`` file.

The only file here that imports torch, and only when the network is a torch one.
"""

from __future__ import annotations

import ast
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from google.protobuf.message import DecodeError

from compile import factory
from compile.constants import LIMIT, load_constants
from compile.errors import MissingExtra, UserError
from compile.factory import first_line
from compile.model import PREFIX, Model
from compile.quiet import quiet
from compile.trial import require_runnable

if TYPE_CHECKING:
    import torch

OPSETS = range(13, 24)
_DEFAULT_DOMAIN = ("", "ai.onnx")


def from_module(
    module: torch.nn.Module, example_inputs: tuple[Any, ...], metadata: Mapping[str, str] | None = None
) -> Model:
    """Export a torch module, in eval mode, with the static shapes of ``example_inputs``.

    Args:
        module: any module that ``torch.onnx.export(dynamo=True)`` can trace.
        example_inputs: positional arguments of its ``forward``.
        metadata: ``phiz.*`` entries to carry along.

    Raises:
        UserError: torch cannot export it, or the result is not a network phiz takes.
    """
    torch = _torch()
    _reject_bad_parameters(module)
    was_training = module.training
    module.eval()
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(module, example_inputs, dynamo=True, verbose=False)
    except Exception as error:  # torch raises anything here; whatever it is, it is about the user's module
        _let_through(error)
        raise UserError(
            f"torch cannot export the module: {first_line(error)}",
            where=type(module).__name__,
            fix="make its forward traceable by torch.export with static shapes",
        ) from error
    finally:
        module.train(was_training)
    return _accept(program.model, type(module).__name__, metadata or {})


def from_factory(reference: str) -> Model:
    """Capture what ``package.module:factory`` makes; see :func:`load_factory`."""
    return from_module(*load_factory(reference))


def load_factory(reference: str) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    """Call ``package.module:factory``, a function without arguments that returns ``(module, example_inputs)``.

    The module is looked up on ``sys.path`` and in the current folder. This runs the user's own code.

    Raises:
        UserError: it is not there, fails, or returns something else.
    """
    result = factory.call(reference)
    shape = "a factory returns (module, example_inputs), example_inputs being a tuple of tensors"
    if not (isinstance(result, tuple) and len(result) == 2):
        raise UserError(f"the factory returned {type(result).__name__}", where=reference, fix=shape)
    module, example_inputs = result
    torch = _torch()
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    if not isinstance(module, torch.nn.Module) or not isinstance(example_inputs, tuple):
        raise UserError("the factory did not return a torch module and a tuple", where=reference, fix=shape)
    return module, example_inputs


def from_pt2(path: Path) -> Model:
    """Capture a ``.pt2`` archive written by ``torch.export.save``; see :func:`load_pt2`."""
    return from_program(load_pt2(path), path)


def from_program(program: torch.export.ExportedProgram, path: Path) -> Model:
    """Capture a program that ``path`` held."""
    torch = _torch()
    try:
        with quiet():
            exported = torch.onnx.export(program, dynamo=True, verbose=False)
    except Exception as error:  # torch raises anything here, as above
        _let_through(error)
        raise UserError(f"torch cannot export it: {first_line(error)}", where=str(path)) from error
    return _accept(exported.model, path.stem, {})


def _let_through(error: BaseException) -> None:
    """Raise what is no error but a signal that asked us to stop; torch wraps even that."""
    beneath: BaseException | None = error
    while beneath is not None:
        if not isinstance(beneath, Exception):
            raise beneath
        beneath = beneath.__cause__ or beneath.__context__


def load_pt2(path: Path) -> torch.export.ExportedProgram:
    """Read a ``.pt2`` archive.

    Such an archive may hold pickled members, and ``torch.export.load`` would run them; here each must pass torch's
    restricted unpickler first, and pickled weights are refused.

    Raises:
        UserError: it is not a safe archive, or torch cannot load it.
    """
    library = _torch()
    _reject_pickles(path)
    try:
        with quiet():
            program: torch.export.ExportedProgram = library.export.load(str(path))
    except Exception as error:  # an archive can be wrong in any way
        raise UserError(f"torch cannot load it: {first_line(error)}", where=str(path)) from error
    return program


def from_onnx(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Model:
    """Read an ``.onnx`` file; external data must lie in the file's own folder.

    Args:
        path: the file.
        shapes: static shapes for inputs, overriding the file's.

    Raises:
        UserError: unreadable, malformed, dynamic shapes, data outside the folder, NaN or Inf weights.
    """
    try:
        if path.exists() and not path.is_file():
            raise UserError("it is no file", where=str(path))  # and a pipe would never end
        if path.stat().st_size > LIMIT:
            raise UserError("larger than 2 GB, more than an ONNX file can be", where=str(path))
        proto = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error
    except DecodeError as error:
        raise UserError("not an ONNX file, or truncated", where=str(path)) from error
    if not proto.graph.node:
        raise UserError("holds no graph", where=str(path), fix="give an ONNX model with at least one node")
    load_constants(proto, path)
    try:
        onnx.checker.check_model(proto)
        model = ir.from_proto(proto)
    except Exception as error:  # the checker and the reader raise many types for malformed models
        raise UserError(f"not a valid ONNX model: {first_line(error)}", where=str(path)) from error
    _set_shapes(model, shapes or {})
    return _accept(model, path.stem, {})


def _accept(model: ir.Model, where: str, metadata: Mapping[str, str]) -> Model:
    """Check what every later stage relies on, and keep of the metadata only what phiz understands."""
    opset = next((model.opset_imports[d] for d in _DEFAULT_DOMAIN if d in model.opset_imports), None)
    if opset not in OPSETS:
        raise UserError(
            f"its opset is {opset}, phiz takes {OPSETS.start} to {OPSETS.stop - 1}", where=where, fix="export it again"
        )
    common.RemoveInitializersFromInputsPass()(model)  # a default that a caller may override is a constant to us
    for port in model.graph.inputs:
        _require_static(port, where)
    for port in model.graph.outputs:
        if port.dtype is not None and port.dtype.is_floating_point() and port.dtype != ir.DataType.FLOAT:
            place = f"{where}, output '{port.name}'"
            raise UserError(f"its element type is {port.dtype}, phiz gives float32", where=place, fix="cast it there")
    for name, value in sorted(model.graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None and tensor.dtype.is_floating_point() and _is_broken(tensor.numpy()):
            raise UserError("weights hold NaN or Inf", where=f"{where}, tensor '{name}'", fix="repair the checkpoint")
    sources = {node: _source(node) for node in model.graph}
    _forget(model)
    for node, source in sources.items():
        if source:
            node.metadata_props[f"{PREFIX}source"] = source
    kept = {key: value for key, value in model.metadata_props.items() if key.startswith(PREFIX)}
    model.metadata_props.clear()
    model.metadata_props.update(dict(sorted({**kept, **metadata}.items())))
    model.graph.name = "student"
    captured = Model(model)
    require_runnable(captured, where)
    return captured


def _is_broken(data: np.ndarray) -> bool:
    """NaN, or Inf that is neither a bound, which is a single number, nor a mask, which is -Inf."""
    numbers = np.asarray(data, np.float64)
    return bool(np.isnan(numbers).any() or (numbers.size > 1 and np.isposinf(numbers).any()))


def _forget(model: ir.Model) -> None:
    """Drop every note but the model's own: exporters leave stack traces and paths of the machine in them."""
    graph = model.graph
    values = (*graph.inputs, *graph.initializers.values(), *(value for node in graph for value in node.outputs))
    for noted in (graph, *graph, *values):
        noted.metadata_props.clear()
        noted.doc_string = None
    model.producer_name = model.producer_version = model.domain = model.doc_string = None


def _require_static(port: ir.Value, where: str) -> None:
    place = f"{where}, input '{port.name}'"
    if not isinstance(port.type, ir.TensorType):
        raise UserError(f"it is no tensor ({port.type})", where=place, fix="phiz takes float32 tensors")
    if port.dtype != ir.DataType.FLOAT:
        raise UserError(f"its element type is {port.dtype}, phiz takes float32 inputs", where=place)
    sizes = list(port.shape) if port.shape is not None else None
    if sizes is None:
        raise UserError("its shape is unknown", where=place, fix=f"give it one: --shape {port.name}=1x8192")
    if not sizes:
        raise UserError("it is a scalar, without an axis for the batch", where=place, fix="give it the shape [1]")
    for axis, size in enumerate(sizes):
        if not isinstance(size, int) or size < 1:
            example = "x".join(str(s) if isinstance(s, int) and s > 0 else "1" for s in sizes)
            raise UserError(
                f"axis {axis} {f'has the size {size}' if isinstance(size, int) else f'is dynamic ({str(size)!r})'}",
                where=place,
                fix=f"export with a fixed size, or fix it here: --shape {port.name}={example}",
            )


def _set_shapes(model: ir.Model, shapes: Mapping[str, tuple[int, ...]]) -> None:
    inputs = {value.name: value for value in model.graph.inputs}
    for name, shape in shapes.items():
        if name not in inputs:
            raise UserError(
                f"there is no input '{name}'", where="--shape", fix=f"inputs are: {', '.join(map(str, inputs))}"
            )
        inputs[name].shape = ir.Shape(shape)
    if shapes:
        for node in model.graph:
            for output in node.outputs:
                output.shape = None
        for output in model.graph.outputs:
            output.shape = None


def _source(node: ir.Node) -> str:
    """The module path that torch's exporter recorded, or what an earlier phiz did; else the node's own name."""
    if recorded := node.metadata_props.get(f"{PREFIX}source"):
        return recorded
    try:
        scopes = ast.literal_eval(node.metadata_props.get("pkg.torch.onnx.name_scopes", "[]"))
    except (SyntaxError, ValueError):
        scopes = []
    scope = str(scopes[-2]) if isinstance(scopes, list) and len(scopes) > 1 else ""
    return scope or node.name or node.outputs[0].name or ""


def _reject_bad_parameters(module: torch.nn.Module) -> None:
    torch = _torch()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError("weights hold NaN or Inf", where=f"tensor '{name}'", fix="repair the checkpoint")


def _reject_pickles(path: Path) -> None:
    torch = _torch()
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > LIMIT:
                raise UserError("unpacks to more than 2 GB", where=str(path))
            for name in sorted(archive.namelist()):
                if name.endswith("_config.json") and _uses_pickle(json.loads(archive.read(name))):
                    raise UserError(f"'{name}' refers to pickled data", where=str(path), fix="export plain tensors")
                if name.endswith(".pt"):
                    with archive.open(name) as file:
                        torch.load(file, weights_only=True)
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error
    except UserError:
        raise
    except Exception as error:  # a zip, JSON or unpickling error: the archive is not what torch.export.save writes
        raise UserError(f"not a safe .pt2 archive: {first_line(error)}", where=str(path)) from error


def _uses_pickle(config: object) -> bool:
    if isinstance(config, dict):
        return bool(config.get("use_pickle")) or any(_uses_pickle(value) for value in config.values())
    return isinstance(config, list) and any(_uses_pickle(value) for value in config)


def _torch() -> Any:
    try:
        import onnxscript  # noqa: F401  torch's exporter needs it, and says so in riddles
        import torch
        import torch.onnx
    except ImportError as error:
        raise MissingExtra("capturing a torch network", "torch", error.name or "torch") from error
    return torch
