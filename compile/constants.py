"""The constants of an ONNX file: all of them in memory, whole, and from nowhere but the file's own folder."""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx

from compile.errors import UserError
from compile.quiet import quiet

LIMIT = 2**31 - 1  # protobuf's own limit for one message


def load_constants(proto: onnx.ModelProto, path: Path) -> None:
    """Bring external data into ``proto`` and check every constant, those of nodes and subgraphs included.

    Args:
        proto: from ``path``, changed in place; notes on its tensors are dropped.
        path: of the model; external data must lie in its folder.

    Raises:
        UserError: data outside the folder, missing, or of another size than the tensor's type and shape ask for.
    """
    if proto.graph.sparse_initializer:
        raise UserError("its weights are sparse", where=str(path), fix="store them as dense tensors")
    for tensor in onnx.external_data_helper._get_all_tensors(proto):
        tensor.ClearField("doc_string")  # notes, which onnx-ir would not let go of
        tensor.ClearField("metadata_props")
        where = f"{path}, tensor '{tensor.name}'"
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _load(tensor, path.parent.resolve(), where)
        _require_whole(tensor, where)


def _load(tensor: onnx.TensorProto, folder: Path, where: str) -> None:
    facts = {entry.key: entry.value for entry in tensor.external_data}
    location = str(facts.get("location", ""))  # what is not UTF-8 comes as bytes
    try:
        target = (folder / location).resolve()
        inside = bool(location) and not Path(location).is_absolute() and folder in target.parents
    except (OSError, RuntimeError, ValueError):  # links in circles, a name that cannot be
        inside = False
    if not inside:
        raise UserError(f"its data lies outside the model's folder ('{location}')", where=where)
    try:
        if not target.is_file():  # a pipe would never end
            raise UserError(f"its data '{location}' is no file, or missing", where=where)
        offset, size = int(facts.get("offset", 0)), target.stat().st_size
        length = int(facts.get("length", size - offset))
        if offset < 0 or length < 0 or offset + length > size or length > LIMIT:
            raise UserError(f"its data reaches beyond the file '{location}'", where=where)
        with target.open("rb") as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
    except ValueError as error:
        raise UserError("its offset or length is not a number", where=where) from error
    except OSError as error:
        raise UserError(f"its data file '{location}' cannot be read: {error.strerror}", where=where) from error
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _require_whole(tensor: onnx.TensorProto, where: str) -> None:
    shape = list(tensor.dims)
    try:
        if min(shape, default=0) < 0 or prod(shape) > 8 * tensor.ByteSize():  # no element takes less than a bit
            raise ValueError("the shape is impossible, or needs more than there is")
        with quiet():
            onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # to_array raises many types for data that does not fit
        what = f"its data does not fit its type and shape {shape}"
        raise UserError(what, where=where, fix="export it again") from error
