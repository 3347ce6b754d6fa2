"""coremltools; iOS 17, which int8 activations need."""


def floating(model, windows, out):
    convert(model, windows).save(str(out))


def weights(model, windows, out):
    from coremltools.optimize import coreml as optimize

    config = optimize.OptimizationConfig(global_config=optimize.OpLinearQuantizerConfig(mode="linear_symmetric"))
    optimize.linear_quantize_weights(convert(model, windows), config).save(str(out))


def activations(model, windows, out):
    import numpy as np
    from coremltools.optimize import coreml as optimize

    activations = optimize.OptimizationConfig(optimize.experimental.OpActivationLinearQuantizerConfig())
    samples = [{"window": window[None]} for window in np.load(windows)["window"]]
    observed = optimize.experimental.linear_quantize_activations(convert(model, windows), activations, samples)
    weights = optimize.OptimizationConfig(optimize.OpLinearQuantizerConfig(mode="linear_symmetric"))
    optimize.linear_quantize_weights(observed, weights).save(str(out))


def convert(model, windows):
    import coremltools as ct
    import numpy as np
    import torch

    window = ct.TensorType("window", (1, np.load(windows)["window"].shape[1]), np.float32)
    return ct.convert(torch.jit.load(model), inputs=[window], minimum_deployment_target=ct.target.iOS17)
