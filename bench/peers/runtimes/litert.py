"""LiteRT on one thread, with XNNPACK, as it comes."""


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

    return call
