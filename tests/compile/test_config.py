"""``phiz.toml``: what it says, and what it may not say."""

from __future__ import annotations

import pytest

from compile.config import BuildConfig, load
from compile.errors import UserError

WHOLE = """
[model]
path = "students/tiny"
[calibrate]
audio = "speech/*.wav"
windows = 128
ranges = "percentile 99.9"
[quantize]
scheme = "w8a8"
bias_correction = false
min_sqnr = "36 dB"
rules = ["float on Conv under @input"]
[parity]
max_steps = 3
[build.mobile]
targets = ["tflite", "coreml"]
footprint = "3.4 MB"
file = "1 MB"
[build.desktop]
targets = ["onnx"]
"""


def write(tmp_path, text):
    path = tmp_path / "phiz.toml"
    path.write_text(text)
    return path


def test_whole(tmp_path):
    config = load(write(tmp_path, WHOLE))
    assert (config.model, config.audio, config.windows, config.scheme) == (
        "students/tiny",
        ("speech/*.wav",),
        128,
        "w8a8",
    )
    assert (config.ranges, config.bias_correction) == ("percentile 99.9", False)
    assert (config.min_sqnr, config.max_steps, config.rules) == (36.0, 3, ("float on Conv under @input",))
    assert config.builds == (
        BuildConfig("mobile", ("tflite", "coreml"), 3_400_000, 1_000_000),
        BuildConfig("desktop", ("onnx",)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model", "is not TOML"),
        ("[modle]\n", r"unknown table \[modle\].*known are: model"),
        ("[model]\nfile = 'x'", "unknown key 'file'.*known are: path"),
        ("[model]\npath = 3", "'path' is int 3; write text in quotes"),
        ("[calibrate]\nwindows = true", "'windows' is bool"),
        ("[quantize]\nbias_correction = 'no'", "'bias_correction' is str 'no'; write true or false"),
        ("[calibrate]\nwindows = 0", "from 1 to 65536"),
        ("[quantize]\nmin_sqnr = '36'", r"min_sqnr.*36 dB"),
        ("[quantize]\nrules = 'float'", "'rules' is str"),
        ("[build.a]\n", "names no targets"),
        ("[build.a]\ntargets = ['onnx']\nfile = '3.4'", r"\[build.a\] file.*no unit"),
        ("[build.'../a']\ntargets = ['onnx']", "cannot name a folder"),
        ("build = 3", "tables"),
        ("[build.'a.rejected']\ntargets = ['onnx']", "cannot name a folder"),
        ("[parity]\nmax_steps = nan", r"\[parity\] max_steps: nan is not a number of steps"),
        ("[parity]\nmax_steps = -1", "not a number of steps"),
        ("[calibrate]\nwindows = 100000000000", "from 1 to 65536"),
    ],
)
def test_bad(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load(write(tmp_path, text))


def test_unreadable(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        load(tmp_path / "none.toml")
    (tmp_path / "phiz.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        load(tmp_path / "phiz.toml")
