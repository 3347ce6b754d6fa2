"""What is attacked: good files, how phiz reads them, and what may come of it.

A subject's ``read`` may raise UserError; anything else that it raises is a finding, AssertionError included: that is a
result which is not right.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.fuzz import audit
from bench.fuzz.mutate import Files
from bench.fuzz.subject import Subject
from compile import capture
from compile.audit.budget import Budget
from compile.build import build, lower
from compile.capture import from_onnx
from compile.errors import UserError
from compile.landing import write
from compile.quantize.recipe import PROFILES
from compile.quiet import quiet
from compile.request import Request
from compile.samples import random_input
from compile.simplify.pipeline import simplify
from targets.catalogue import USUAL
from targets.onnx.run import AS_WRITTEN, Session

# Of the largest element: float32 sums in another order, through weights of any size.
_TOLERANCE = 1e-3
_HUGE = 1e12


def subjects(folder: Path) -> list[Subject]:
    """All of them; their files are made in ``folder``, and are the same every time."""
    path = folder / "plain.onnx"
    onnx.save(plain(), path)
    captured = from_onnx(path)
    builds = []
    for profile in ("w8a8", "w8"):
        place = folder / profile / "build"
        request = Request(USUAL, PROFILES[profile], random_input(captured), Budget(), None, 100.0, place)
        build(captured, request, lambda *_: None)
        builds.append(_files(place, folder / profile))
    entry = "build/student.onnx"
    quantised = {name: data for name, data in builds[0].items() if name.endswith(".onnx")}
    networks = (plain().SerializeToString(), nested().SerializeToString())
    others = (*({entry: data} for data in networks), {f"build/{n}": d for n, d in external("student.onnx").items()})
    return [
        Subject("onnx", {"plain.onnx": path.read_bytes()}, "plain.onnx", _network),
        Subject("onnx, nested", {"nested.onnx": nested().SerializeToString()}, "nested.onnx", _network),
        Subject("onnx, external", external("external.onnx"), "external.onnx", _network),
        Subject("onnx, quantised", quantised, entry, _network),
        *audit.subjects(tuple(builds), others),
        *_torch(folder),
    ]


def _files(folder: Path, root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _torch(folder: Path) -> list[Subject]:
    """Those that need torch."""
    import torch

    from distill.students import folder as students

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv1d(1, 4, 8, 4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(60, 3)
    )
    with quiet():
        torch.export.save(torch.export.export(module.eval(), (torch.zeros(1, 1, 64),)), folder / "small.pt2")
    students.save(students.build(students.architecture("tiny")), folder / "student")
    return [
        Subject("pt2", {"small.pt2": (folder / "small.pt2").read_bytes()}, "small.pt2", _archive),
        Subject("student folder", _files(folder / "student", folder), "student", _student),
    ]


def plain() -> onnx.ModelProto:
    """Two convolutions with a skip, a pool, a softmax head; constants of every storage form that ONNX has."""
    random = np.random.default_rng(0)

    def noise(name: str, *shape: int, raw: bool = True) -> onnx.TensorProto:
        data = random.normal(0, 0.3, shape).astype(np.float32)
        if raw:
            return numpy_helper.from_array(data, name)
        return helper.make_tensor(name, TensorProto.FLOAT, shape, data.ravel().tolist())

    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]),
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], kernel_shape=[3], pads=[1, 1], name="first"),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], dilations=[2], pads=[2, 2], name="second"),
        helper.make_node("Add", ["c2", "r1"], ["sum"]),
        helper.make_node("MaxPool", ["sum"], ["pool"], kernel_shape=[2], strides=[2]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["y"], transB=1, name="head"),
        helper.make_node("Sigmoid", ["pool"], ["z"]),
    ]
    constants = [
        helper.make_tensor("shape", TensorProto.INT64, [3], [1, 2, 16]),
        *(noise("w1", 4, 2, 3), noise("b1", 4, raw=False), noise("w2", 4, 4, 3, raw=False), noise("w3", 5, 32)),
        noise("b3", 5),
    ]
    return _model(nodes, constants, {"x": [1, 32]}, {"y": [1, 5], "z": [1, 4, 8]})


def nested() -> onnx.ModelProto:
    """Subgraphs, a function, a Constant node: more than phiz takes."""
    body = [
        helper.make_graph(
            [helper.make_node(operator, ["h"], [f"{operator}.out"])],
            operator,
            [],
            [helper.make_tensor_value_info(f"{operator}.out", TensorProto.FLOAT, [1, 8])],
        )
        for operator in ("Relu", "Tanh")
    ]
    nodes = [
        helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.ones(8, np.float32))),
        helper.make_node("Add", ["x", "one"], ["h"]),
        helper.make_node("If", ["yes"], ["branch"], then_branch=body[0], else_branch=body[1]),
        helper.make_node("Twice", ["branch"], ["twice"], domain="own"),
        helper.make_node("MatMul", ["twice", "column"], ["y"], name="product"),
    ]
    constants = {"yes": np.array(True), "column": np.ones((8, 1), np.float32)}
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    model = _model(nodes, tensors, {"x": [1, 8]}, {"y": [1, 1]})
    own, standard = helper.make_opsetid("own", 1), helper.make_opsetid("", 18)
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opset_imports=[standard]
    )
    model.opset_import.append(own)
    model.functions.append(function)
    return model


def external(name: str) -> Files:
    """The plain network with its weights beside it."""
    model, data = plain(), b""
    for tensor in model.graph.initializer:
        if tensor.raw_data:
            entries = {"location": "weights.bin", "offset": str(len(data)), "length": str(len(tensor.raw_data))}
            for key, value in entries.items():
                tensor.external_data.add(key=key, value=value)
            data += tensor.raw_data
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
    return {name: model.SerializeToString(), "weights.bin": data}


def _model(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
) -> onnx.ModelProto:
    read, written = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side.items()]
        for side in (inputs, outputs)
    )
    graph = helper.make_graph(nodes, "seed", read, written, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _network(path: Path) -> None:
    """Capture, simplify and lower; what comes of each computes what onnxruntime computes from the file."""
    model = simplify(capture.from_onnx(path)).model
    random = np.random.default_rng(0)
    feeds = {port.name: random.normal(size=port.shape).astype(np.float32) for port in model.inputs}
    wanted = _as_written(path, feeds)
    if wanted is None:
        return
    _same("simplify", Session(model.to_bytes(), "the simplified graph", AS_WRITTEN).run(feeds), wanted)
    for target in USUAL:
        try:
            artifacts = lower({target.name: model}, (target,), lambda *_: None)
            write(artifacts, path.parent)
            _same(target.name, target.load(path.parent / artifacts[0].name).run(feeds), wanted)
        except UserError:
            continue


def _as_written(path: Path, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray] | None:
    """What onnxruntime computes from the file; None where a value inside is infinite, no number or enormous.

    From there on kernels differ: one's sigmoid of 1e30 is 1, another's is no number.
    """
    proto = onnx.load(str(path))
    names = [value.name for value in proto.graph.output]
    inner = {name for node in proto.graph.node for name in node.output if name} - set(names)
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(inner))
    everything = Session(proto.SerializeToString(), "the file", AS_WRITTEN).run(feeds)
    numbers = [array for array in everything.values() if array.dtype.kind == "f" and array.size]
    sane = all(np.isfinite(array).all() and np.abs(array).max() < _HUGE for array in numbers)
    return {name: everything[name] for name in names} if sane else None


def _same(stage: str, found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> None:
    for name, array in wanted.items():
        assert found[name].shape == array.shape, f"{stage}, {name}: {found[name].shape} instead of {array.shape}"
        apart = np.abs(found[name] - array).max(initial=0)
        assert apart <= _TOLERANCE * np.abs(array).max(initial=0), f"{stage}, {name}: off by {apart}"


def _archive(path: Path) -> None:
    simplify(capture.from_pt2(path))


def _student(path: Path) -> None:
    from distill.students.folder import load

    module, inputs, metadata = load(path)
    assert metadata["phiz.window"] == str(inputs[0].shape[-1])
    module(*inputs)
