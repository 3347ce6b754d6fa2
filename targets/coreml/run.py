"""Execute an ``.mlpackage`` without Core ML: read it from disk again and evaluate its ML program in numpy.

This checks what the file says, not how Apple's hardware rounds: there, agreement is a matter of quantisation steps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from targets.base import Runner
from targets.coreml import mil
from targets.coreml.arithmetic import OPERATIONS, evaluate
from targets.coreml.lifetimes import arguments
from targets.coreml.package import NAMES
from targets.coreml.specification import program
from targets.files import read_files

_READ, _WRITE = "read_state", "write_state"  # all that may be done with a state; the latter has no result
_MAX_BYTES = 1 << 29  # of all values together; what declares more is no student
# What numpy and the evaluator raise where arguments do not fit an operation.
_MISFITS = (ArithmeticError, AttributeError, LookupError, MemoryError, NotImplementedError, TypeError, ValueError)


def load(path: Path) -> Runner:
    """Read the package at ``path`` and make it ready to execute, one window or batch a call.

    A state of the program is an input and an output of its name: whoever runs it keeps it, and gives it with the next
    call.

    Raises:
        UserError: it is no well-formed package, or its program has an operation that cannot be evaluated here.
    """
    if not path.is_dir():
        raise UserError("there is no such package", where=str(path), fix="give the .mlpackage folder")
    package = program(read_files(path))
    if "main" not in package.functions:
        raise UserError("its ML program has no function 'main': not checked", where=package.model)
    function = package.functions["main"]
    constants: dict[str, Any] = {}
    steps: list[mil.Operation] = []
    total = sum(_checked_size(operation, package.model) for operation in function.operations)
    total += sum(value.type.size or 0 for value in function.inputs)
    if total > _MAX_BYTES:
        raise UserError(f"its values are declared to take {total} bytes: not checked", where=package.model)
    _check_states(function, package.model)
    for operation in function.operations:
        if operation.type == "const":
            constants[operation.outputs[0].name] = _constant(operation.attributes.get("val"), package.model)
        elif operation.type.startswith("constexpr_"):
            attributes = {key: (value,) for key, value in operation.attributes.items() if value and key != "name"}
            given = _bind(operation, {**attributes, **operation.inputs}, constants, package.model)
            if any(isinstance(argument, _Name) for argument in given.values()):
                raise UserError(f"'{operation.type}' reads what is not constant", where=package.model)
            constants[operation.outputs[0].name] = _apply(operation, given, package.model)
        else:
            steps.append(operation)
    ready = tuple(_Step(step, _bind(step, step.inputs, constants, package.model)) for step in steps)
    return _Program(package.model, function, ready, constants, _names(package.metadata))


@dataclass(frozen=True)
class _Step:
    """An operation and those of its arguments that are constant; the others are names."""

    operation: mil.Operation
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class _Name:
    """An argument that is computed; ``several`` where the parameter takes a list."""

    names: tuple[str, ...]
    several: bool


@dataclass(frozen=True)
class _Program:
    """The Runner of one package."""

    where: str
    function: mil.Function
    steps: tuple[_Step, ...]
    constants: Mapping[str, Any]
    names: Mapping[str, str]  # of inputs and outputs, where the model's own differ

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input and state, by name; :func:`load` saw that the program declares it."""
        return {self.own(value.name): value.type.shape or () for value in self.function.inputs}

    def own(self, name: str) -> str:
        """The model's name of an input or output."""
        return self.names.get(name, name)

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Execute once.

        Raises:
            UserError: an input is missing, or has another shape or dtype than the program declares.
        """
        values: dict[str, Any] = dict(self.constants)
        for declared in self.function.inputs:
            array = inputs.get(self.own(declared.name))
            found = "absent" if array is None else f"{array.dtype} {list(array.shape)}"
            expected = f"{declared.type.dtype} {list(declared.type.shape or ())}"
            if found != expected:
                raise UserError(f"input '{self.own(declared.name)}' is {found}, not {expected}", where=self.where)
            values[declared.name] = array
        for step in self.steps:
            given = {key: _resolve(argument, values) for key, argument in step.arguments.items()}
            if step.operation.type == _WRITE:
                self.write(step.operation, given.get("data"), values)
            else:
                values[step.operation.outputs[0].name] = _apply(step.operation, given, self.where)
        states = (value.name for value in self.function.inputs if value.state)
        return {self.own(name): np.array(values[name]) for name in (*self.function.outputs, *states)}

    def write(self, operation: mil.Operation, data: Any, values: dict[str, Any]) -> None:
        """Put ``data`` in place of what a state keeps."""
        (state,) = operation.inputs["input"]
        kept = values[str(state)]
        if np.shape(data) != kept.shape or getattr(data, "dtype", None) != kept.dtype:
            what = f"'{state}' keeps {kept.dtype} {list(kept.shape)}, and is given something else"
            raise UserError(what, where=self.where, fix="the package is corrupt")
        values[str(state)] = data


def _names(metadata: Mapping[str, str]) -> dict[str, str]:
    try:
        names = json.loads(metadata.get(NAMES, "{}"))
    except (ValueError, RecursionError):
        return {}
    return {key: name for key, name in names.items() if isinstance(name, str)} if isinstance(names, dict) else {}


def _check_states(function: mil.Function, where: str) -> None:
    """See that states are only read and written, and nothing else is."""
    states = {value.name for value in function.inputs if value.state}
    for operation in function.operations:
        given = [name for name in arguments(operation) if name in states]
        wanted = 1 if operation.type in (_READ, _WRITE) else 0
        if len(given) != wanted or (given and (*given,) != operation.inputs.get("input")):
            what = f"'{operation.type}' (-> '{operation.name}') takes a state for a tensor, or a tensor for a state"
            raise UserError(what, where=where, fix="the package is corrupt")
    if states & set(function.outputs):
        raise UserError("it gives a state as an output: not checked", where=where)


def _checked_size(operation: mil.Operation, where: str) -> int:
    """Bytes of an operation's result, which must be one of fixed size that can be evaluated here."""
    if operation.type == _WRITE and not operation.outputs:
        return 0
    if operation.type != "const" and operation.type not in OPERATIONS:
        raise UserError(
            f"operation '{operation.type}' cannot be evaluated on this machine: not checked",
            where=where,
            fix="run the package with Core ML",
        )
    sizes = [value.type.size for value in operation.outputs]
    if len(sizes) != 1 or (sizes[0] is None and operation.outputs[0].type.dtype != "str"):
        raise UserError(f"'{operation.type}' has no single result of fixed size: not checked", where=where)
    return sizes[0] or 0


def _bind(
    step: mil.Operation, parameters: Mapping[str, tuple[Any, ...]], constants: Mapping[str, Any], where: str
) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for parameter, given in parameters.items():
        if all(isinstance(argument, str) for argument in given):
            names = tuple(argument for argument in given if isinstance(argument, str))
            arguments[parameter] = _Name(names, parameter == "values")
        elif len(given) == 1:
            arguments[parameter] = _constant(given[0], where)
        if parameter not in arguments or (len(given) != 1 and parameter != "values"):
            raise UserError(f"'{step.type}' has arguments for '{parameter}' that are not checked", where=where)
    return {key: _resolve(value, constants) if _known(value, constants) else value for key, value in arguments.items()}


def _known(argument: Any, constants: Mapping[str, Any]) -> bool:
    return isinstance(argument, _Name) and all(name in constants for name in argument.names)


def _resolve(argument: Any, values: Mapping[str, Any]) -> Any:
    if not isinstance(argument, _Name):
        return argument
    found = [values[name] for name in argument.names]
    return found if argument.several else found[0]


def _constant(constant: Any, where: str) -> Any:
    """A constant as an array, or a string."""
    if constant is None or constant.type.shape is None:
        raise UserError("a constant is no tensor of fixed size: not checked", where=where)
    if constant.type.dtype == "str":
        return constant.text
    try:
        dtype = np.dtype(constant.type.dtype).newbyteorder("<")
    except TypeError as error:
        raise UserError(f"constants of type {constant.type.dtype} are not checked", where=where) from error
    return np.frombuffer(constant.data, dtype).reshape(constant.type.shape)


def _apply(operation: mil.Operation, given: Mapping[str, Any], where: str) -> NDArray[Any]:
    """The result of one operation, which must be what the program declares."""
    declared = operation.outputs[0]
    try:
        with np.errstate(all="ignore"):  # an infinity is an answer too; whoever compares it will say so
            result = evaluate(operation.type, given)
    except _MISFITS as error:
        what = f"'{operation.type}' (-> '{declared.name}') cannot be evaluated: {error}"
        raise UserError(what, where=where, fix="the package is corrupt, or uses a form that is not checked") from error
    if result.shape != declared.type.shape or str(result.dtype) != declared.type.dtype:
        found, expected = f"{result.dtype} {result.shape}", f"{declared.type.dtype} {declared.type.shape}"
        what = f"'{operation.type}' (-> '{declared.name}') gives {found}, the program declares {expected}"
        raise UserError(what, where=where, fix="the package is corrupt")
    return result
