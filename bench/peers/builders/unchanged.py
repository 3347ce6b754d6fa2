"""The network as it is: what float32 costs."""


def onnx(model, windows, out):
    import shutil

    shutil.copy(model, out)
