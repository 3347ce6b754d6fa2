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
        interpreter.set_tensor(given["index"], window)
        interpreter.invoke()
        return interpreter.get_tensor(wanted["index"])

    def call_int8(window):  # whose ends are integers: then its user converts
        scale, zero = given["quantization"]
        interpreter.set_tensor(given["index"], np.clip(np.rint(window / scale) + zero, -128, 127).astype(np.int8))
        interpreter.invoke()
        scale, zero = wanted["quantization"]
        return (interpreter.get_tensor(wanted["index"]).astype(np.float32) - zero) * np.float32(scale)

    return call_int8 if given["dtype"] == np.int8 else call
