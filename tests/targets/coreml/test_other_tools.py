"""Packages and model files that coremltools wrote: every byte has a name, and the right one."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from targets.base import Kind
from targets.coreml.dissect import dissect

pytest.importorskip("torch")

# One network in the forms that coremltools writes.
FIRST, SECOND, LAST = 32 * 9, 64 * 32 * 5, 52 * 64
MATRICES = FIRST + SECOND + LAST
WEIGHTS = MATRICES + 32 + 64 + 64 + 52
MAKE = """
import sys
from pathlib import Path
import coremltools as ct, numpy as np, torch
from coremltools.models.neural_network.quantization_utils import quantize_weights
from coremltools.optimize import coreml as opt

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = torch.nn.Conv1d(1, 32, 9, 2), torch.nn.Conv1d(32, 64, 5, 2), torch.nn.Linear(64, 52)
        self.scale = torch.nn.Parameter(torch.rand(64, 1))

    def forward(self, x):
        return self.c((torch.relu(self.b(torch.relu(self.a(x)))) * self.scale).mean(-1))

class Counter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(1, 64, dtype=torch.float16))

    def forward(self, x):
        self.total.add_(x)
        return self.total * 2

torch.manual_seed(0)
torch.set_num_threads(1)
out, t = Path(sys.argv[1]), ct.target
traced = torch.jit.trace(Net().eval(), torch.zeros(1, 1, 256))

def convert(shape=(1, 1, 256), target=t.iOS17, **more):
    return ct.convert(
        traced, inputs=[ct.TensorType(name="x", shape=shape)], minimum_deployment_target=target, **more)

def opted(how, config):
    return opt.OptimizationConfig(getattr(opt, how)(**config, weight_threshold=0))

plain, old = convert(target=t.iOS18), convert(target=t.iOS16)
sparse = opt.prune_weights(plain, opted("OpMagnitudePrunerConfig", {"target_sparsity": 0.7}))
made = {
    "float16": plain,
    "ios15": convert(target=t.iOS15),
    "float32": convert(compute_precision=ct.precision.FLOAT32),
    "flexible": convert(shape=(1, 1, ct.RangeDim(256, 1024, 256))),
    "classes": convert(classifier_config=ct.ClassifierConfig([f"class {i}" for i in range(52)])),
    "palette": opt.palettize_weights(plain, opted("OpPalettizerConfig", {"mode": "uniform", "nbits": 4})),
    "palette16": opt.palettize_weights(old, opted("OpPalettizerConfig", {"mode": "uniform", "nbits": 6})),
    "int8": opt.linear_quantize_weights(old, opted("OpLinearQuantizerConfig", {"mode": "linear"})),
    "int4": opt.linear_quantize_weights(plain, opted("OpLinearQuantizerConfig", {
        "mode": "linear", "dtype": "int4", "granularity": "per_block", "block_size": 16})),
    "sparse": sparse,
    "sparse16": opt.prune_weights(old, opted("OpMagnitudePrunerConfig", {"target_sparsity": 0.7})),
    "sparse and int8": opt.linear_quantize_weights(
        sparse, opted("OpLinearQuantizerConfig", {"mode": "linear_symmetric"}), joint_compression=True),
    "state": ct.convert(
        torch.jit.trace(Counter().eval(), torch.zeros(1, 64, dtype=torch.float16)),
        inputs=[ct.TensorType(name="x", shape=(1, 64), dtype=np.float16)],
        outputs=[ct.TensorType(name="y", dtype=np.float16)],
        states=[ct.StateType(ct.TensorType(shape=(1, 64), dtype=np.float16), name="total")],
        minimum_deployment_target=t.iOS18),
}
for name, model in made.items():
    model.save(str(out / f"{name}.mlpackage"))
functions = ct.utils.MultiFunctionDescriptor()
for name in ("one", "two"):
    functions.add_function(str(out / "float16.mlpackage"), "main", name)
functions.default_function_name = "two"
ct.utils.save_multifunction(functions, str(out / "functions.mlpackage"))
after = torch.jit.trace(torch.nn.Linear(52, 4).eval(), torch.zeros(1, 52))
head = ct.convert(after, inputs=[ct.TensorType(name="h", shape=(1, 52))], minimum_deployment_target=t.iOS17)
ct.utils.make_pipeline(convert(outputs=[ct.TensorType(name="h")]), head).save(str(out / "pipeline.mlpackage"))

net = ct.convert(traced, inputs=[ct.TensorType(name="x", shape=(1, 1, 256))], convert_to="neuralnetwork")
net.save(str(out / "net.mlmodel"))
for bits, mode in ((16, "linear"), (8, "linear"), (5, "linear"), (4, "linear_lut")):
    quantised = quantize_weights(net, bits, mode)
    ct.utils.save_spec(getattr(quantised, "get_spec", lambda: quantised)(), str(out / f"net{bits}.mlmodel"))
ct.models.MLModel(net.get_spec()).save(str(out / "net.mlpackage"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    subprocess.run([sys.executable, "-W", "ignore", "-c", MAKE, str(folder)], capture_output=True, check=True)
    return folder


@pytest.fixture(scope="module")
def files_of(folder):
    def files(name):
        (path,) = folder.glob(f"{name}.ml*") if "." not in name else (folder / name,)
        found = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}

    return files


def elements(dissection, kind):
    """Elements stored, by dtype; constants that share their bytes count once."""
    found = {constant.places: constant for constant in dissection.constants if constant.kind is kind}
    counts = Counter()
    for constant in found.values():
        size = 1
        for dimension in constant.shape:
            size *= dimension
        counts[constant.dtype] += size
    return counts


# fmt: off
ALL = [
    "float16", "ios15", "float32", "flexible", "classes", "palette", "palette16", "int8", "int4", "sparse", "sparse16",
    "sparse and int8", "state", "functions", "pipeline", "net.mlmodel", "net16", "net8", "net5", "net4",
    "net.mlpackage",
]
# fmt: on


@pytest.mark.parametrize("name", ALL)
def test_every_byte_has_a_name(name, files_of):
    files = files_of(name)
    dissection = dissect(files)
    assert dissection.sizes == {path: len(data) for path, data in files.items()}
    position = dict.fromkeys(files, 0)
    kinds = Counter()
    for section in dissection.sections:
        assert section.start == position[section.file] < section.end
        position[section.file] = section.end
        kinds[section.kind] += section.end - section.start
    assert position == dissection.sizes
    assert kinds[Kind.UNMAPPED] == 0
    assert all(constant.readers for constant in dissection.constants), "coremltools writes nothing that is not read"
    for constant in dissection.constants:  # a constant is its bytes: as many as its elements take
        bits = {"float16": 16, "float32": 32}.get(constant.dtype) or int(constant.dtype.lstrip("uint"))
        stored = sum(end - start for _, start, end in constant.places)
        size = 1
        for dimension in constant.shape:
            size *= dimension
        assert (size * bits + 7) // 8 == stored
        labels = [s for s in dissection.sections if s.file == constant.places[0][0] and s.kind is constant.kind]
        assert any(s.start <= constant.places[0][1] and constant.places[0][2] <= s.end for s in labels)


@pytest.mark.parametrize(
    ("name", "weights", "parameters"),
    [
        ("float16", {"float16": WEIGHTS}, {}),
        ("ios15", {"float16": WEIGHTS}, {}),
        ("float32", {"float32": WEIGHTS}, {}),
        ("flexible", {"float16": WEIGHTS}, {}),
        ("functions", {"float16": WEIGHTS}, {}),  # both use the same bytes
        ("net.mlmodel", {"float32": WEIGHTS}, {}),
        ("net16", {"float16": WEIGHTS}, {}),
    ],
)
def test_plain_weights_are_found_to_the_last(name, weights, parameters, files_of):
    dissection = dissect(files_of(name))
    assert elements(dissection, Kind.WEIGHTS) == weights
    assert elements(dissection, Kind.QUANTIZATION) == parameters


@pytest.mark.parametrize(
    ("name", "dtype", "bits"), [("palette", "uint4", 4), ("int8", "int8", 8), ("int4", "int4", 4), ("net5", "uint5", 5)]
)
def test_compressed_weights_count_as_stored(name, dtype, bits, files_of):
    dissection = dissect(files_of(name))
    assert elements(dissection, Kind.WEIGHTS)[dtype] >= SECOND + LAST
    stored = sum(s.end - s.start for s in dissection.sections if s.kind is Kind.WEIGHTS)
    plain = {"float16": 2, "float32": 4}["float32" if name.startswith("net") else "float16"]
    assert bits * MATRICES / 8 <= stored <= bits * MATRICES / 8 + plain * (WEIGHTS - SECOND - LAST)
    assert elements(dissection, Kind.QUANTIZATION).keys() <= {"float16", "float32", "int8", "int4"}


@pytest.mark.parametrize("name", ["palette", "palette16", "int8", "int4", "sparse", "sparse16", "sparse and int8"])
def test_what_compressed_weights_expand_to_is_said(name, files_of):
    (note,) = [note for note in dissect(files_of(name)).notes if note.startswith("weights: ")]
    compressed = SECOND + LAST if name == "int4" else MATRICES + 64  # in blocks of 16 the others do not divide
    assert f"they take {2 * compressed:,} bytes" in note


def test_activations_are_those_of_the_network(files_of):
    """Shapes by the formula of convolution. The input is cast to float16, the output from it."""
    first, second = (256 - 9) // 2 + 1, ((256 - 9) // 2 + 1 - 5) // 2 + 1
    dissection = dissect(files_of("ios15"))
    computed = [256, 32 * first, 64 * second, 64 * second, 64, 52]  # convolutions have their ReLU within
    assert sorted(life.size for life in dissection.lifetimes) == sorted([4 * 256, *(2 * n for n in computed), 4 * 52])
    assert len(dissection.steps) == 1 + max(life.last for life in dissection.lifetimes)
    assert dissection.unknown == ()
    assert dissect(files_of("classes")).unknown == ()


def test_functions_do_not_run_at_once(files_of):
    one, two = dissect(files_of("float16")), dissect(files_of("functions"))
    half = len(two.steps) // 2
    for start, name in ((0, "one"), (half, "two")):
        lives = [life for life in two.lifetimes if life.tensor.startswith(f"{name}: ")]
        assert [(life.size, life.first - start, life.last - start) for life in lives] == [
            (life.size, life.first, life.last) for life in one.lifetimes
        ]


def test_a_state_lives_throughout(files_of):
    dissection = dissect(files_of("state"))
    (state,) = [life for life in dissection.lifetimes if life.tensor == "total"]
    assert (state.size, state.first, state.last) == (2 * 64, 0, len(dissection.steps) - 1)
    assert dissection.unknown == ()


@pytest.mark.parametrize(
    ("name", "unknown"),
    [
        ("flexible", "the size of activation 'x'"),
        ("net.mlmodel", "the activations of the neuralNetwork, for the form does not store their shapes"),
        ("net.mlpackage", "the activations of the neuralNetwork, for the form does not store their shapes"),
        ("pipeline", "what passes between the models of the pipeline"),
    ],
)
def test_what_is_not_known_is_said(name, unknown, files_of):
    assert unknown in dissect(files_of(name)).unknown


def test_layers_have_the_names_and_types_of_the_network(files_of):
    from coremltools.proto import Model_pb2

    (data,) = files_of("net8").values()
    spec = Model_pb2.Model.FromString(data)
    sections = dissect(files_of("net8")).sections
    for layer in spec.neuralNetwork.layers:
        own = [section for section in sections if section.layer == layer.name]
        assert {section.operator for section in own} == {layer.WhichOneof("layer")}
        assert layer.ByteSize() <= sum(section.end - section.start for section in own) <= layer.ByteSize() + 4
        weights = sum(section.end - section.start for section in own if section.kind is Kind.WEIGHTS)
        parameters = getattr(layer, layer.WhichOneof("layer"))
        both = [getattr(parameters, name) for name in ("weights", "bias") if hasattr(parameters, name)]
        assert weights >= sum(len(found.rawValue) + 4 * len(found.floatValue) for found in both)
    stages = {s.layer.split("/")[0] for s in dissect(files_of("pipeline")).sections if "/" in s.layer}
    assert len(stages) == 2
