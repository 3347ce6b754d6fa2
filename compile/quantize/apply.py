"""apply(model, plan) -> the same graph with Q/DQ pairs, the meaning of int8 (``docs/hub.md``); decides nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.errors import Bug
from compile.model import Model, add_constant, constant, drop_unread_constants, operand, shape_of, typed
from compile.quantize.scheme import (
    ACTIVATION_MAX,
    ACTIVATION_MIN,
    WEIGHT_MAX,
    WEIGHTED,
    Affine,
    QuantPlan,
    Scheme,
    channel_axis,
)


def apply(model: Model, plan: QuantPlan) -> Model:
    """Insert the plan's Q/DQ pairs into a copy of the model.

    Args:
        model: the float model that the plan was made for.
        plan: from ``decide``, possibly with bias corrections.
    """
    clone = model.clone()
    _Writer(clone.ir.graph, plan).write()
    return clone


class _Writer:
    """One rewriting; remembers the constants and pairs it has already made, so that each exists once."""

    def __init__(self, graph: ir.Graph, plan: QuantPlan) -> None:
        self.graph, self.plan = graph, plan
        self.constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self.weights: dict[tuple[ir.Value, int, bytes], ir.Value] = {}
        self.dequantized: dict[ir.Value, Affine] = {}  # output of a DQ -> its parameters
        self.dynamic: dict[ir.Value, ir.Value] = {}  # value -> itself after quantisation at run time

    def write(self) -> None:
        nodes = list(self.graph)
        for value in list(self.graph.inputs):
            if value.name in self.plan.activations:
                self.pair(value, None)
        for node in nodes:
            scheme = self.plan.decisions[node.name or ""].scheme
            if node.op_type in WEIGHTED and scheme.integer_weights:
                self.weight(node)
            if scheme == Scheme.W8_DYNAMIC:
                self.at_run_time(node)
            if scheme == Scheme.FLOAT16:
                self.half(node)
            if node.op_type in WEIGHTED:
                self.bias(node, scheme)
            for index in range(len(node.inputs)):
                if (parameters := self.plan.constants.get((node.name or "", index))) is not None:
                    self.operand(node, index, parameters)
            for output in node.outputs:
                if output.name in self.plan.activations:
                    self.pair(output, node)
        drop_unread_constants(self.graph)

    def pair(self, value: ir.Value, producer: ir.Node | None) -> None:
        """Put Q and DQ behind ``value``; everything that read it, graph outputs too, reads the DQ."""
        parameters = self.plan.activations[value.name or ""]
        scale = self.constant("scale", np.float32(parameters.scale))
        zero = self.constant("zero", np.int8(parameters.zero_point))
        shape = shape_of(value)
        quantize = ir.node("QuantizeLinear", [value, scale, zero], name=f"{value.name}.q")
        integer = typed(quantize.outputs[0], f"{value.name}.q", ir.DataType.INT8, shape)
        dequantize = ir.node("DequantizeLinear", [integer, scale, zero], name=f"{value.name}.dq")
        real = typed(dequantize.outputs[0], f"{value.name}.dq", ir.DataType.FLOAT, shape)
        for user, index in list(value.uses()):
            if user is not quantize:
                user.replace_input_with(index, real)
        if value in self.graph.outputs:
            self.graph.outputs[self.graph.outputs.index(value)] = real
            value.name, real.name = f"{value.name}.float", value.name
        if producer is None:
            self.graph.insert_before(self.graph[0], [quantize, dequantize])
        else:
            self.graph.insert_after(producer, [quantize, dequantize])
        self.dequantized[real] = parameters

    def weight(self, node: ir.Node) -> None:
        value, scale = node.inputs[1], self.plan.weights[node.name or ""]
        data = constant(value)
        if value is None or data is None:
            raise Bug(f"the weight of '{node.name}' is not constant")
        axis = channel_axis(node.op_type)  # a Conv and the ConvTranspose that shares its weight differ in it
        key = (value, axis, scale.tobytes())
        if key not in self.weights:
            steps = scale.reshape([-1 if index == axis else 1 for index in range(data.ndim)])
            nearest = np.clip(np.rint(data / steps), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
            integers = self.plan.integers.get(node.name or "", nearest)
            zeros = self.constant("zeros", np.zeros(len(scale), np.int8))
            self.weights[key] = self.stored(node, f"{value.name}", integers, scale, zeros, axis=axis)
        node.replace_input_with(1, self.weights[key])

    def at_run_time(self, node: ir.Node) -> None:
        """Quantise what the node reads by the range it has at that moment; other readers keep the float value."""
        value = operand(node)
        if value not in self.dynamic:
            quantize = ir.node("DynamicQuantizeLinear", [value], num_outputs=3, name=f"{value.name}.dynamic")
            for output, part, dtype, shape in zip(
                quantize.outputs,
                ("integers", "scale", "zero"),
                (ir.DataType.UINT8, ir.DataType.FLOAT, ir.DataType.UINT8),
                (shape_of(value), (), ()),
                strict=True,
            ):
                typed(output, f"{value.name}.dynamic.{part}", dtype, shape)
            dequantize = ir.node("DequantizeLinear", quantize.outputs, name=f"{value.name}.dynamic.dq")
            name = f"{value.name}.dynamic.dq"
            self.dynamic[value] = typed(dequantize.outputs[0], name, ir.DataType.FLOAT, shape_of(value))
            self.graph.insert_before(node, [quantize, dequantize])
        node.replace_input_with(0, self.dynamic[value])

    def half(self, node: ir.Node) -> None:
        """Store the weight as float16; a Cast widens it again."""
        value = operand(node, 1)
        data = constant(value)
        if data is None:
            raise Bug(f"the weight of '{node.name}' is not constant")
        key = (value, 0, b"float16")
        if key not in self.weights:
            narrow = self.constant(f"{value.name}.half", data.astype(np.float16))
            cast = ir.node("Cast", [narrow], {"to": ir.DataType.FLOAT.value}, name=f"{value.name}.{node.name}.cast")
            name = f"{value.name}.{node.name}.float"
            self.weights[key] = typed(cast.outputs[0], name, ir.DataType.FLOAT, data.shape)
            self.graph.insert_before(node, cast)
        node.replace_input_with(1, self.weights[key])

    def bias(self, node: ir.Node, scheme: Scheme) -> None:
        """Correct the bias; for ``w8a8`` store it as int32 in units of input scale × weight scale."""
        name = node.name or ""
        value = node.inputs[2] if len(node.inputs) > 2 else None
        data, correction = constant(value), self.plan.corrections.get(name)
        if data is None and correction is None:
            return
        channels = self.channels(node)
        real = np.zeros(channels, np.float64) if data is None else data.astype(np.float64)
        real = real + (0.0 if correction is None else correction)
        stem = value.name if value is not None else f"{name}.bias"
        node.resize_inputs(3)
        if scheme != Scheme.W8A8:
            if correction is not None:
                node.replace_input_with(2, self.constant(f"{stem}", real.astype(np.float32)))
            return
        scale = np.float32(self.dequantized[operand(node, 0)].scale) * np.resize(self.plan.weights[name], channels)
        limits = np.iinfo(np.int32)
        integers = np.clip(np.rint(real / scale), limits.min, limits.max).astype(np.int32)
        node.replace_input_with(2, self.stored(node, f"{stem}", integers, scale, None, axis=0))

    def operand(self, node: ir.Node, index: int, parameters: Affine) -> None:
        value = operand(node, index)
        data = constant(value)
        if data is None:
            raise Bug(f"input {index} of '{node.name}' is not constant")
        integers = np.clip(np.rint(data / parameters.scale) + parameters.zero_point, ACTIVATION_MIN, ACTIVATION_MAX)
        zero = self.constant("zero", np.int8(parameters.zero_point))
        stored = self.stored(node, f"{value.name}", integers.astype(np.int8), np.float32(parameters.scale), zero)
        node.replace_input_with(index, stored)

    def stored(
        self, node: ir.Node, name: str, integers: NDArray[Any], scale: Any, zero: ir.Value | None, **attributes: int
    ) -> ir.Value:
        """An integer initializer behind a DQ in front of ``node``; returns the real value."""
        inputs = [self.constant(f"{name}.int", integers), self.constant(f"{name}.scale", scale)]
        if zero is not None:
            inputs.append(zero)
        dequantize = ir.node("DequantizeLinear", inputs, attributes, name=f"{name}.{node.name}.dq")
        real = typed(dequantize.outputs[0], f"{name}.{node.name}.dq", ir.DataType.FLOAT, integers.shape)
        self.graph.insert_before(node, dequantize)
        return real

    def constant(self, hint: str, array: Any) -> ir.Value:
        """An initializer with this content; equal content is stored once."""
        array = np.ascontiguousarray(array) if np.ndim(array) else np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = add_constant(self.graph, hint, array)
        return self.constants[key]

    def channels(self, node: ir.Node) -> int:
        return shape_of(node.outputs[0])[1]
