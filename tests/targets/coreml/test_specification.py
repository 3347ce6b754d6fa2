"""Model files, and what lies in them, against coremltools' own messages."""

from __future__ import annotations

import re

import pytest

from compile.errors import UserError
from targets.base import Kind
from targets.coreml import layers, specification
from targets.coreml.dissect import dissect

pytest.importorskip("coremltools")


@pytest.fixture(scope="module")
def proto():
    from coremltools.proto import Model_pb2, NeuralNetwork_pb2

    return Model_pb2, NeuralNetwork_pb2


def choices(message):
    return {field.number: field.name for field in message.DESCRIPTOR.fields if field.containing_oneof}


def test_the_kinds_and_layers_are_those_of_coremltools(proto):
    model, network = proto
    assert dict(specification.KINDS) == choices(model.Model)
    assert dict(layers.LAYERS) == choices(network.NeuralNetworkLayer)
    others = {field.number for field in network.NeuralNetworkLayer.DESCRIPTOR.fields} - layers.LAYERS.keys()
    assert set(layers.LAYER_FIELDS) == others
    known = {
        f.number for name in layers.NETWORKS for f in model.Model.DESCRIPTOR.fields_by_name[name].message_type.fields
    }
    assert set(layers.NETWORK_FIELDS) == known


def test_every_place_of_weights_is_known(proto):
    """What leads to weights or networks in coremltools' messages, and nothing else."""

    def leads(message, seen=()):
        if message.name in ("WeightParams", "NeuralNetwork"):
            return True
        below = [field.message_type for field in message.fields if field.message_type]
        return message.name not in seen and any(leads(inner, (*seen, message.name)) for inner in below)

    def check(kind, message):
        expected = {f.number: f for f in message.fields if f.message_type and leads(f.message_type)}
        found = layers.INSIDE.get(kind, {})
        assert {n: e.partition(":")[0] for n, e in found.items()} == {n: f.name for n, f in expected.items()}, kind
        for number, field in expected.items():
            inner = found[number].partition(":")[2]
            assert (field.message_type.name == "WeightParams") == (not inner)
            if inner and inner != "NeuralNetwork":
                check(inner, field.message_type)

    for field in proto[1].NeuralNetworkLayer.DESCRIPTOR.fields:
        if field.containing_oneof:
            check(field.name, field.message_type)


def dissected(spec):
    data = spec.SerializeToString()
    dissection = dissect({"net.mlmodel": data})
    assert dissection.sizes == {"net.mlmodel": len(data)}
    ends = [0, *(section.end for section in dissection.sections)]
    assert [section.start for section in dissection.sections] + [len(data)] == ends
    return data, dissection


def test_weights_in_branches_loops_and_activations_are_found(proto):
    spec = proto[0].Model(specificationVersion=4)
    outer = spec.neuralNetwork.layers.add(name="choice")
    loop = outer.branch.ifBranch.layers.add(name="again")
    inner = loop.loop.bodyNetwork.layers.add(name="inner")
    inner.uniDirectionalLSTM.weightParams.forgetGateBiasVector.floatValue.extend([1.0, 2.0])
    inner.uniDirectionalLSTM.activations.add().PReLU.alpha.float16Value = b"\0\x3c" * 3
    other = outer.branch.elseBranch.layers.add(name="other")
    other.custom.weights.add().int8RawValue = b"abcd"
    other.custom.weights.add().rawValue = b"efg"
    spec.neuralNetwork.preprocessing.add(featureName="x").meanImage.meanImage.extend([0.5] * 6)
    data, dissection = dissected(spec)
    stored = {c.name: (c.dtype, c.shape, data[c.places[0][1] : c.places[0][2]]) for c in dissection.constants}
    assert stored == {
        "inner.weightParams.forgetGateBiasVector": ("float32", (2,), b"\0\0\x80?\0\0\0@"),
        "inner.activations.PReLU.alpha": ("float16", (3,), b"\0\x3c" * 3),
        "other.weights0": ("int8", (4,), b"abcd"),
        "other.weights1": ("uint8", (3,), b"efg"),
        "preprocessing.meanImage": ("float32", (6,), b"\0\0\0?" * 6),
    }
    weights = [(s.layer, s.operator, s.end - s.start) for s in dissection.sections if s.kind is Kind.WEIGHTS]
    assert {("inner", "uniDirectionalLSTM", 8), ("inner", "uniDirectionalLSTM", 6)} < set(weights)
    assert {s.layer for s in dissection.sections} >= {"choice", "again", "inner", "other"}


def test_floats_one_by_one_are_found_too():
    """As protocol buffers allow, and no writer does: a tag before each number."""
    numbers = b"\x0d\0\0\x80?" * 3
    message = b"".join(bytes([tag, len(body)]) + body for tag, body in [(0x12, numbers)])  # bias: a WeightParams
    layer = b"\xd2\x0f" + bytes([len(message)]) + message  # field 250, bias
    network = b"\x0a" + bytes([len(layer)]) + layer
    data = b"\xa2\x1f" + bytes([len(network)]) + network  # field 500
    (constant,) = dissect({"net.mlmodel": data}).constants
    assert constant.shape == (3,)
    assert [data[start:end] for _, start, end in constant.places] == [b"\0\0\x80?"] * 3
    (section,) = [s for s in dissect({"net.mlmodel": data}).sections if s.kind is Kind.WEIGHTS]
    assert (section.end - section.start, section.resident) == (4 + 5 + 5, 12)


def test_fields_that_nobody_knows_are_unmapped(proto):
    spec = proto[0].Model(specificationVersion=4)
    spec.neuralNetwork.layers.add(name="a").softmax.SetInParent()
    data = spec.SerializeToString() + b"\xfa\x7f\x64" + bytes(range(1, 101))  # field 2047
    sections = dissect({"net.mlmodel": data}).sections
    assert sum(s.end - s.start for s in sections if s.kind is Kind.UNMAPPED) == 103


@pytest.mark.parametrize("kind", sorted(set(specification.KINDS.values()) - {"mlProgram", *layers.NETWORKS}))
def test_a_model_that_is_no_network_is_parameters_and_its_memory_unknown(kind, proto):
    spec = proto[0].Model(specificationVersion=4)
    getattr(spec, kind).SetInParent()
    _, dissection = dissected(spec)
    assert dissection.unknown, "no gate over its memory can be passed"


def test_a_pipeline_holds_models_of_all_kinds(proto):
    spec = proto[0].Model(specificationVersion=4)
    spec.description.metadata.author = "someone"
    models = spec.pipelineClassifier.pipeline.models
    models.add().neuralNetwork.layers.add(name="dense").innerProduct.weights.floatValue.extend([1.0] * 50)
    models.add().scaler.scaleValue.extend([3.0] * 40)
    models.add().pipeline.models.add().treeEnsembleClassifier.treeEnsemble.nodes.add(treeId=7)
    spec.pipelineClassifier.pipeline.names.extend(["net", "scale"])
    _, dissection = dissected(spec)
    weights = {s.layer: s.end - s.start for s in dissection.sections if s.kind is Kind.WEIGHTS}
    assert weights["net/dense"] == 200
    assert weights["scale/scaler"] == models[1].scaler.ByteSize()
    assert (
        weights["model 2/model 0/treeEnsembleClassifier"]
        == models[2].pipeline.models[0].treeEnsembleClassifier.ByteSize()
    )
    assert dissection.metadata == {"author": "someone"}


def test_a_program_may_stand_alone_when_it_needs_no_weight_file(hub, lowered):
    net = hub()
    package = lowered(net.model(net.op("Relu", net.input(1, 8)))).files
    (data,) = [data for name, data in package.items() if name.endswith(".mlmodel")]
    dissection = dissect({"net.mlmodel": data})
    assert [life.size for life in dissection.lifetimes] == [32, 32]


def nested(spec, depth):
    for _ in range(depth):
        spec = spec.pipeline.models.add()
    return spec


def looped(network, depth):
    for _ in range(depth):
        network = network.layers.add().loop.bodyNetwork
    return network


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec: spec.Clear(), "it holds no model of a known kind"),
        (lambda spec: nested(spec, 9).identity.SetInParent(), "pipelines are nested too deeply"),
        (lambda spec: looped(spec.neuralNetwork, 40).SetInParent(), "networks are nested too deeply"),
        (lambda spec: spec.neuralNetwork.layers.add(name="a" * 2_001), "the name of a layer is too long"),
        (
            lambda spec: spec.neuralNetwork.MergeFromString(b"\x0a\x00" * 100_001),
            "it has more than 100,000 layers",
        ),
        (
            lambda spec: spec.neuralNetwork.layers.add(name="a").bias.bias.quantization.__setattr__("numberOfBits", 64),
            "weights of layer 'a' are said to have 64 bits",
        ),
        (
            lambda spec: spec.neuralNetwork.layers.add(name="a").bias.bias.__setattr__("float16Value", b"odd"),
            "'bias' of layer 'a' ends within a number",
        ),
    ],
)
def test_broken_model_files_are_one_line_errors(change, message, proto):
    spec = proto[0].Model(specificationVersion=4)
    change(spec)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        dissect({"net.mlmodel": spec.SerializeToString()})
    assert "\n" not in str(caught.value)
    assert caught.value.where == "net.mlmodel"
