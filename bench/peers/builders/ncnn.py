"""pnnx converts to ncnn; ncnn's own tools quantise."""


def half(model, windows, out):
    import shutil
    import subprocess

    import numpy as np

    shutil.copy(model, out.with_name("model.onnx"))
    size = np.load(windows)["window"].shape[1]
    subprocess.run(["pnnx", "model.onnx", f"inputshape=[1,{size}]"], cwd=out.parent, check=True)


def int8(model, windows, out):
    import subprocess

    half(model, windows, out)
    table, list_ = out.with_suffix(".table"), out.with_name("windows.txt")
    subprocess.run(["ncnn2table", out, out.with_suffix(".bin"), list_, table, "method=kl", "type=1"], check=True)
    subprocess.run(["ncnn2int8", out, out.with_suffix(".bin"), out, out.with_suffix(".bin"), table], check=True)
