"""MNN's converter and its offline quantizer, without the command-line wrappers, which install packages as they run."""


def weights(model, windows, out):
    convert(model, out, "--weightQuantBits=8")


def default(model, windows, out):
    import json

    import numpy as np
    from _tools import mnnquant

    convert(model, out.with_name("float.mnn"))
    for number, window in enumerate(np.load(windows)["window"]):
        folder = out.with_name("windows") / str(number)
        folder.mkdir(parents=True)
        np.savetxt(folder / "window.txt", window)
        facts = {"inputs": [{"name": "window", "shape": [1, len(window)]}], "outputs": ["output"]}
        (folder / "input.json").write_text(json.dumps(facts))
    settings = {
        "path": str(out.with_name("windows")),
        "input_type": "sequence",
        "feature_quantize_method": "KL",
        "weight_quantize_method": "MAX_ABS",
    }
    out.with_name("settings.json").write_text(json.dumps(settings))
    mnnquant(str(out.with_name("float.mnn")), str(out), str(out.with_name("settings.json")))


def convert(model, out, *options):
    from _tools import mnnconvert

    mnnconvert(
        ["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(out), "--bizCode", "x", *options]
    )
