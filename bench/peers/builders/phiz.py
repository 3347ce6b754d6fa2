"""``phiz compile``, the command, as a user types it."""


def everything(model, windows, out):
    phiz("compile", model, "--calibrate", windows, "-t", "onnx", "-t", "tflite", "-t", "coreml", "-o", out.parent)


def onnx(model, windows, out):
    phiz("compile", model, "--calibrate", windows, "-t", "onnx", "-o", out.parent)


def tflite(model, windows, out):
    phiz("compile", model, "--calibrate", windows, "-t", "tflite", "-o", out.parent)


def coreml(model, windows, out):
    phiz("compile", model, "--calibrate", windows, "-t", "coreml", "-o", out.parent)


def integers(model, windows, out):
    two = ("-t", "onnx", "-t", "tflite")
    phiz("compile", model, "--calibrate", windows, *two, "--scheme", "w8a8", "-o", out.parent)


def stream(model, windows, out):
    phiz("compile", model, "--calibrate", windows, "-t", "onnx", "-t", "tflite", "--stream", "-o", out.parent)


def phiz(*words):
    import subprocess
    import sys

    sys.exit(subprocess.call(["phiz", *map(str, words)]))
