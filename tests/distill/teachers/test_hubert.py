"""Speech encoders in Hugging Face's format with a head: against the library's own loading, and numpy's arithmetic."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compile.errors import MissingExtra, UserError
from distill.teachers.base import Utterance
from distill.teachers.catalogue import open_teacher
from distill.teachers.hubert import OVERLAP, PIECE, pieces

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LARGE_WAY = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}  # as the large models are
CONTROLS = ["jawOpen", "mouthClose", "smile"]
HEAD = {
    "format": "phiz head 1",
    "controls": CONTROLS,
    "layers": [
        {"kind": "conv", "out": 10, "kernel": 5, "activation": "relu"},
        {"kind": "lstm", "out": 6, "both": True},
        {"kind": "linear", "out": 3, "activation": "sigmoid"},
    ],
}


def transformers() -> Any:
    pytest.importorskip("torch")
    return pytest.importorskip("transformers")


def head_weights(width: int) -> dict[str, np.ndarray]:
    """Weights as ``torch.nn`` names them."""
    draw = np.random.default_rng(4)
    shapes = {"layers.0.weight": (10, width, 5), "layers.0.bias": (10,), "layers.2.weight": (3, 12)}
    shapes |= {"layers.2.bias": (3,)}
    for way in ("", "_reverse"):
        shapes |= {f"layers.1.weight_ih_l0{way}": (24, 10), f"layers.1.weight_hh_l0{way}": (24, 6)}
        shapes |= {f"layers.1.bias_ih_l0{way}": (24,), f"layers.1.bias_hh_l0{way}": (24,)}
    return {name: draw.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def write_head(folder: Path, head: dict[str, Any] | None = None) -> None:
    from safetensors.numpy import save_file

    (folder / "head.json").write_text(json.dumps(HEAD if head is None else head))
    save_file(head_weights(24), folder / "head.safetensors")


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def lstm(x: np.ndarray, weights: dict[str, np.ndarray], way: str) -> np.ndarray:
    """One direction over ``x`` [frames, inputs]; gates in torch's order: input, forget, cell, output."""
    into, back = weights[f"layers.1.weight_ih_l0{way}"], weights[f"layers.1.weight_hh_l0{way}"]
    bias = weights[f"layers.1.bias_ih_l0{way}"] + weights[f"layers.1.bias_hh_l0{way}"]
    state, cell, said = np.zeros(6), np.zeros(6), np.zeros((len(x), 6))
    for k in range(len(x) - 1, -1, -1) if way else range(len(x)):
        gates = into @ x[k] + back @ state + bias
        i, f, g, o = (gates[part * 6 : part * 6 + 6] for part in range(4))
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell)
        said[k] = state
    return said


def head_by_hand(hidden: np.ndarray) -> np.ndarray:
    """The head's layers in numpy: hidden states [frames, width] to controls [frames, 3]."""
    weights = head_weights(hidden.shape[1])
    padded = np.pad(hidden.astype(np.float64), ((2, 2), (0, 0)))
    conv = np.stack([
        np.einsum("otk,kt->o", weights["layers.0.weight"], padded[k : k + 5]) + weights["layers.0.bias"]
        for k in range(len(hidden))
    ])  # fmt: skip
    relu = np.maximum(conv, 0)
    both = np.concatenate([lstm(relu, weights, ""), lstm(relu, weights, "_reverse")], axis=1)
    return sigmoid(both @ weights["layers.2.weight"].T + weights["layers.2.bias"])


def sound(seconds: float) -> np.ndarray:
    return (np.random.default_rng(3).normal(0, 0.2, round(seconds * 16_000)) + 0.1).astype(np.float32)


FAMILIES = {
    "hubert": ("HubertConfig", "HubertModel", {}),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model", LARGE_WAY),
    "wavlm": ("WavLMConfig", "WavLMModel", {"num_buckets": 32, "max_bucket_distance": 80}),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small randomly initialised encoder of each family, as the library saves it, with a head."""
    library = transformers()
    import torch

    folders = {}
    for family, (config, model, more) in FAMILIES.items():
        torch.manual_seed(5)
        folders[family] = tmp_path_factory.mktemp(family) / "model"
        made = getattr(library, model)(getattr(library, config)(**SMALL, **more))
        for parameter in made.parameters():  # fresh biases are zero, and would hide that they are not read
            parameter.data += 0.05 * torch.randn_like(parameter)
        made.save_pretrained(folders[family])
        write_head(folders[family])
    return folders


def hidden_states(folder: Path, family: str, audio: np.ndarray, *, normalise: bool = True) -> np.ndarray:
    """By the library's own loading and feature extractor: ``[layers + 1, frames, width]``; frame k at k / 50 s."""
    library = transformers()
    import torch

    model = getattr(library, FAMILIES[family][1]).from_pretrained(folder, local_files_only=True).eval()
    extractor = library.Wav2Vec2FeatureExtractor(do_normalize=normalise)
    heard = extractor(audio, sampling_rate=16_000, return_tensors="np")["input_values"][0]
    frames = -(-len(audio) // 320)
    padded = np.zeros((frames - 1) * 320 + 400, np.float32)
    padded[200 : 200 + len(heard)] = heard[: len(padded) - 200]
    with torch.inference_mode():
        states = model(torch.from_numpy(padded)[None], output_hidden_states=True).hidden_states
    return np.stack([state[0].numpy() for state in states])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_librarys_own_states_through_the_head(models: dict[str, Path], family: str) -> None:
    audio = sound(1.3)
    teacher = open_teacher("hubert", models[family])
    assert teacher.controls == tuple(CONTROLS)
    curves = teacher.curves(Utterance(audio))
    assert curves.shape == (65, 3)
    assert curves.dtype == np.float32
    expected = head_by_hand(hidden_states(models[family], family, audio)[-1])
    np.testing.assert_allclose(curves, expected, atol=2e-5)  # float32 against float64
    assert curves.std(axis=0).min() > 1e-3


def changed(folder: Path, name: str, **change: Any) -> None:
    path = folder / name
    facts = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(facts | change))


def test_layer_range_and_normalisation(models: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(models["hubert"], tmp_path / "m")
    changed(folder, "head.json", layer=1, range=[0.4, 0.6])
    (folder / "preprocessor_config.json").write_text('{"do_normalize": false, "sampling_rate": 16000}')
    audio = sound(0.5)
    expected = head_by_hand(hidden_states(folder, "hubert", audio, normalise=False)[1]).clip(0.4, 0.6)
    np.testing.assert_allclose(open_teacher("hubert", folder).curves(Utterance(audio)), expected, atol=2e-5)


def test_fine_tuned_old_and_half_precision_files(models: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    audio = Utterance(sound(0.5))
    expected = open_teacher("hubert", models["hubert"]).curves(audio)
    folder = shutil.copytree(models["hubert"], tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    names = {
        name: name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        )
        for name in weights
    }
    tuned = {f"hubert.{names[name]}": value.astype(np.float16) for name, value in weights.items()}
    save_file(tuned | {"lm_head.weight": np.zeros((32, 24), np.float32)}, folder / "model.safetensors")
    np.testing.assert_allclose(open_teacher("hubert", folder).curves(audio), expected, atol=0.02)  # fp16 weights


def test_pieces_cover_everything_once() -> None:
    for frames in (0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 10 * PIECE + 7):
        seen = np.zeros(frames, int)
        for begin, end, kept in pieces(frames):
            assert end - begin <= PIECE
            assert begin <= kept.start < kept.stop <= end
            assert kept.start == 0 or kept.start - begin >= OVERLAP
            assert kept.stop == frames or end - kept.stop >= OVERLAP
            seen[kept] += 1
        assert (seen == 1).all()


def test_long_speech_is_heard_in_pieces(models: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(models["wav2vec2"], tmp_path / "m")  # its norms see no further than attention does
    (folder / "preprocessor_config.json").write_text('{"do_normalize": false}')
    teacher, audio = open_teacher("hubert", folder), sound(33.0)
    curves = teacher.curves(Utterance(audio))
    assert curves.shape == (1650, 3)
    first = teacher.curves(Utterance(audio[: PIECE * 320 + 200]))  # to the last frame's half
    np.testing.assert_allclose(curves[: PIECE - OVERLAP], first[: PIECE - OVERLAP], atol=1e-4)
    assert teacher.curves(Utterance(audio[:1])).shape == (1, 3)
    assert teacher.curves(Utterance(audio[:0])).shape == (0, 3)


def test_the_version_is_that_of_the_files(models: dict[str, Path], tmp_path: Path) -> None:
    first = open_teacher("hubert", models["hubert"]).version
    folder = shutil.copytree(models["hubert"], tmp_path / "m")
    assert open_teacher("hubert", folder).version == first
    for spoil in (lambda: changed(folder, "head.json", layer=0), lambda: changed(folder, "preprocessor_config.json")):
        spoil()
        again = open_teacher("hubert", folder).version
        assert again != first
        first = again


def head_with(**change: Any) -> Callable[[Path], None]:
    return lambda folder: changed(folder, "head.json", **change)


def config_with(**change: Any) -> Callable[[Path], None]:
    return lambda folder: changed(folder, "config.json", **change)


def layers(*change: dict[str, Any]) -> Callable[[Path], None]:
    return head_with(layers=[*change, HEAD["layers"][-1]])  # type: ignore[index]


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def nan_weights(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "head.safetensors")
    weights["layers.2.bias"][1] = np.nan
    save_file(weights, folder / "head.safetensors")


def huge_header(folder: Path) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode()
    (folder / "head.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (pickled, r"model\.safetensors: there is no such file; phiz reads safetensors only"),
        (lambda folder: (folder / "config.json").unlink(), r"config\.json: there is no such file"),
        (lambda folder: (folder / "head.json").unlink(), r"head\.json: there is no such file"),
        (lambda folder: (folder / "head.safetensors").unlink(), r"head\.safetensors: there is no such file"),
        (text("config.json", "[" * 100_000), r"config\.json: is not JSON"),
        (text("config.json", "[]"), r"config\.json: it is no JSON object"),
        (text("model.safetensors", "pickle"), r"model\.safetensors: not a safetensors file"),
        (text("preprocessor_config.json", '{"sampling_rate": 8000}'), "it takes audio at 8000 Hz"),
        (text("preprocessor_config.json", '{"do_normalize": "no"}'), "'do_normalize' must be"),
        (huge_header, r"head\.safetensors: not a safetensors file"),
        (nan_weights, r"head\.safetensors: tensor 'layers\.2\.bias' has NaN"),
        (config_with(model_type="whisper"), "'model_type' is 'whisper'; give one of: hubert"),
        (config_with(model_type=["hubert"]), "'model_type' is"),
        (config_with(hidden_size=48), r"tensor '.*' has shape \[.*\]; expected \[48"),
        (config_with(hidden_size=10**9), "'hidden_size' is 1000000000"),
        (config_with(num_hidden_layers=10**6), "'num_hidden_layers' is 1000000"),
        (config_with(num_hidden_layers=3), r"tensor 'encoder\.layers\.2\..* is missing"),
        (config_with(num_attention_heads=5), "transformers"),
        (config_with(num_attention_heads=True), "'num_attention_heads' is True"),
        (config_with(hidden_act="os.system"), "transformers"),
        (config_with(conv_stride=[5, 2, 2, 2, 2, 2, 4]), "its frames are 640 samples apart"),
        (config_with(conv_kernel=[10, 3]), r"config\.json: transformers does not take it"),
        (config_with(conv_dim="8"), "'conv_dim' is 8"),
        (config_with(add_adapter=True), "its adapter changes the frame rate"),
        (head_with(format="phiz head 9"), "not a 'phiz head 1' file"),
        (head_with(code="import os"), "unknown key 'code'"),
        (head_with(controls=["a", "b"]), "the last layer gives 3 values for 2 controls"),
        (head_with(controls=["a", "a", "b"]), "different names"),
        (head_with(controls=[1, 2, 3]), "'controls' must list names"),
        (head_with(layer=3), "'layer' is 3; the encoder has 0 to 2"),
        (head_with(layer="last"), "'layer' must be a whole number"),
        (head_with(range=[1, 0]), "'range' must be two numbers"),
        (head_with(range=[0, 10**400]), "'range' must be two numbers"),
        (head_with(layers=[]), "'layers' must list 1 to 32"),
        (layers({"kind": "attention", "out": 3}), "layer 0: its 'kind' is 'attention'; choose one of: conv"),
        (layers({"kind": "conv", "out": 10, "kernel": 4}), "layer 0: 'kernel' must be odd"),
        (layers({"kind": "conv", "out": 0}), "'out' must be a whole number from 1 to 8192"),
        (layers({"kind": "conv"}), "it has no 'out'"),
        (layers({"kind": "linear", "out": 9, "both": True}), "linear has no 'both'"),
        (layers({"kind": "lstm", "out": 9, "both": 1}), "'both' must be true or false"),
        (layers({"kind": "linear", "out": 9, "activation": "exec"}), "unknown 'activation'"),
        (
            layers({"kind": "linear", "out": 9}),
            r"tensor 'layers\.0\.weight' has shape \[10, 24, 5\]; expected \[9, 24\]",
        ),
    ],
)
def test_nothing_of_the_folder_is_believed(
    spoil: Callable[[Path], object], message: str, models: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(models["hubert"], tmp_path / "m")
    spoil(folder)
    with pytest.raises(UserError, match=message):
        open_teacher("hubert", folder)


def test_a_network_that_overflows_is_told_with_the_file(models: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(models["hubert"], tmp_path / "m")
    changed(folder, "head.json", layers=[*HEAD["layers"][:2], {"kind": "linear", "out": 3}])  # type: ignore[index]
    weights = load_file(folder / "head.safetensors")
    save_file(weights | {"layers.2.weight": np.full((3, 12), 3e38, np.float32)}, folder / "head.safetensors")
    with pytest.raises(UserError, match=r"loud\.wav: the network gives NaN or infinite"):
        open_teacher("hubert", folder).curves(Utterance(sound(0.2), path=Path("loud.wav")))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'phiz\[hubert\]'"):
        open_teacher("hubert", tmp_path)
