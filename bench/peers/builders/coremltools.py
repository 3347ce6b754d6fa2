"""coremltools; iOS 17, which int8 activations need."""


def floating(model, windows, out):
    convert(model).save(str(out))


def weights(model, windows, out):
    from coremltools.optimize import coreml as optimize

    config = optimize.OptimizationConfig(global_config=optimize.OpLinearQuantizerConfig(mode="linear_symmetric"))
    optimize.linear_quantize_weights(convert(model), config).save(str(out))


def activations(model, windows, out):
    import numpy as np
    from coremltools.optimize import coreml as optimize

    activations = optimize.OptimizationConfig(optimize.experimental.OpActivationLinearQuantizerConfig())
    samples = [{"window": window[None]} for window in np.load(windows)["window"]]
    observed = optimize.experimental.linear_quantize_activations(convert(model), activations, samples)
    weights = optimize.OptimizationConfig(optimize.OpLinearQuantizerConfig(mode="linear_symmetric"))
    optimize.linear_quantize_weights(observed, weights).save(str(out))


def convert(model):
    import coremltools as ct
    import torch

    return ct.convert(torch.export.load(model).run_decompositions({}), minimum_deployment_target=ct.target.iOS17)
