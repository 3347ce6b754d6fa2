"""NNCF's ``quantize``, on ONNX and on OpenVINO's own model."""


def onnx_default(model, windows, out):
    import nncf
    import onnx

    onnx.save(nncf.quantize(onnx.load(model), samples(windows)), out)


def onnx_tuned(model, windows, out):
    import nncf
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(model, prepared)
    onnx.save(nncf.quantize(onnx.load(prepared), samples(windows), **tuned()), out)


def openvino_float(model, windows, out):
    import openvino as ov

    ov.save_model(ov.convert_model(model), out)


def openvino_default(model, windows, out):
    import nncf
    import openvino as ov

    ov.save_model(nncf.quantize(ov.convert_model(model), samples(windows)), out)


def openvino_tuned(model, windows, out):
    import nncf
    import openvino as ov

    ov.save_model(nncf.quantize(ov.convert_model(model), samples(windows), fast_bias_correction=False, **tuned()), out)


def samples(windows):
    import nncf
    import numpy as np

    return nncf.Dataset(np.load(windows)["window"], lambda window: {"window": window[None]})


def tuned():
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    ranges = RangeEstimatorParametersSet.MINMAX
    parameters = nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=ranges, weights_range_estimator_params=ranges
    )
    return {
        "preset": nncf.QuantizationPreset.MIXED,
        "subset_size": 384,
        "advanced_parameters": parameters,
    }
