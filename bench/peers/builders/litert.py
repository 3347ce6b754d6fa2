"""litert-torch converts, ai-edge-quantizer or PT2E quantises."""


def floating(model, windows, out):
    convert(model).export(str(out))


def default(model, windows, out):
    from ai_edge_quantizer import quantizer

    floating(model, windows, out)
    tool = quantizer.Quantizer(str(out), recipes().get_quantization_recipe())
    ranges = tool.calibrate({"serving_default": samples(windows)})
    tool.quantize(ranges).export_model(str(out), overwrite=True)


def true_ranges(model, windows, out):
    from ai_edge_quantizer import calibrator, quantizer
    from ai_edge_quantizer.utils import qsv_utils

    floating(model, windows, out)
    tool = quantizer.Quantizer(str(out), recipes().get_quantization_recipe())
    observer = calibrator.Calibrator(str(out), qsv_update_func=qsv_utils.min_max_update)
    observer.calibrate({"serving_default": samples(windows)}, recipes())
    tool.quantize(observer.get_model_qsvs()).export_model(str(out), overwrite=True)


def recipes():
    from ai_edge_quantizer import qtyping, recipe, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    made = recipe_manager.RecipeManager()
    made.load_quantization_recipe(recipe.static_wi8_ai8())
    for port in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):  # float in, float out, as all have
        made.add_quantization_config(".*", port, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return made


def pt2e(model, windows, out):
    import litert_torch
    import torch
    from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
    from litert_torch.quantize.quant_config import QuantConfig
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = PT2EQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.load(model).module(), quantizer)
    for sample in samples(windows):
        prepared(torch.from_numpy(sample["args_0"]))
    quantised = convert_pt2e(prepared, fold_quantize=False)
    given = (torch.zeros_like(torch.from_numpy(samples(windows)[0]["args_0"])),)
    litert_torch.convert(quantised, given, quant_config=QuantConfig(pt2e_quantizer=quantizer)).export(str(out))


def convert(model):
    import litert_torch
    import torch

    program = torch.export.load(model)
    return litert_torch.convert(program.module(), program.example_inputs[0])


def samples(windows):
    import numpy as np

    return [{"args_0": window[None]} for window in np.load(windows)["window"]]
