"""onnxruntime's ``quantize_static`` and ``quantize_dynamic``."""


def default(model, windows, out):
    from onnxruntime.quantization import quantize_static

    quantize_static(model, out, reader(windows))


def unsigned(model, windows, out):
    from onnxruntime.quantization import QuantType, quantize_static

    quantize_static(model, out, reader(windows), activation_type=QuantType.QUInt8)


def tuned(model, windows, out):
    quantise(model, windows, out, first_layers=1, last_layers=0)


def precise(model, windows, out):
    quantise(model, windows, out, first_layers=1, last_layers=2)


def percentile(model, windows, out):
    from onnxruntime.quantization import CalibrationMethod

    quantise(model, windows, out, first_layers=0, last_layers=0, calibrate_method=CalibrationMethod.Percentile)


def dynamic(model, windows, out):
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(model, prepared)
    quantize_dynamic(prepared, out)


def quantise(model, windows, out, first_layers, last_layers, **options):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(model, prepared)
    layers = [node.name for node in onnx.load(prepared).graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    in_float = layers[:first_layers] + layers[len(layers) - last_layers :]
    quantize_static(
        prepared,
        out,
        reader(windows),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        nodes_to_exclude=in_float,
        **options,
    )


def reader(windows):
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader

    class Windows(CalibrationDataReader):
        def __init__(self):
            self.left = iter(np.load(windows)["window"])

        def get_next(self):
            window = next(self.left, None)
            return None if window is None else {"window": window[None]}

    return Windows()
