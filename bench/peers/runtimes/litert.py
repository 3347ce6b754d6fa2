"""LiteRT on one thread, with XNNPACK, as it comes."""

import numpy as np


def version():
    from importlib.metadata import version as of

    import ai_edge_litert.interpreter  # noqa: F401  # so that it counts as imported

    return of("ai-edge-litert")


def load(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (wanted,) = interpreter.get_input_details(), interpreter.get_output_details()

    def call(window):
        interpreter.set_tensor(given["index"], _quantised(window, given))
        interpreter.invoke()
        return _floating(interpreter.get_tensor(wanted["index"]), wanted)

    return call


def _quantised(values, port):
    """For a port of integers, which PT2E makes: there its user converts."""
    if port["dtype"] != np.int8:
        return values
    scale, zero = port["quantization"]
    return np.clip(np.rint(values / scale) + zero, -128, 127).astype(np.int8)


def _floating(values, port):
    if port["dtype"] != np.int8:
        return values
    scale, zero = port["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)
