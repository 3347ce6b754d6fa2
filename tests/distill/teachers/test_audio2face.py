"""The contract of Audio2Face-3D's regression networks, with a small network and data files of exactly that form."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compile.errors import UserError
from distill.controls import ARKIT
from distill.teachers.audio2face import RIDGE
from distill.teachers.base import Utterance
from distill.teachers.catalogue import open_teacher

VERTICES, FRONTAL = 90, 70
TAPS = (0, 1800, 4159, 4160, 4161, 6500, 8319)  # samples of the window that the small network listens to


def draw(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def readings(shapes: int) -> np.ndarray:
    """Weights from the window's taps to all outputs: ``[taps, shapes + 29]``."""
    return draw(1).normal(0, 1.0, (len(TAPS), shapes + 29)).astype(np.float32)


def network(shapes: int, batch: int | str = "batch", window: int = 8320, **change: object) -> onnx.ModelProto:
    """``result = input[..., taps] @ weights + emotion @ more``; the second part is nothing where emotion is neutral."""
    outputs = shapes + 29
    constants = {
        "taps": np.array([tap % window for tap in TAPS], np.int64),
        "weights": readings(shapes),
        "more": np.full((26, outputs), 100, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["input", "taps"], ["heard"], axis=2),
        helper.make_node("MatMul", ["heard", "weights"], ["said"]),
        helper.make_node("MatMul", [str(change.get("emotion", "emotion")), "more"], ["felt"]),
        helper.make_node("Add", ["said", "felt"], [str(change.get("result", "result"))]),
    ]
    port = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "a2f",
        [
            port("input", TensorProto.FLOAT, [batch, 1, window]),
            port(str(change.get("emotion", "emotion")), TensorProto.FLOAT, [batch, 1, 26]),
        ],
        [port(str(change.get("result", "result")), TensorProto.FLOAT, [batch, 1, outputs])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def arrays(shapes: int, names: tuple[str, ...] = ARKIT) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """model_data and bs_skin: poses that partly say the same, and one that moves nothing (the tongue)."""
    generator = draw(2)
    neutral = generator.normal(0, 50, (VERTICES, 3)).astype(np.float32)
    common = generator.normal(0, 1, (VERTICES, 3))
    poses = {name: (generator.normal(0, 1, (VERTICES, 3)) + common).astype(np.float32) for name in names}
    poses[names[-1]] = np.zeros((VERTICES, 3), np.float32)
    data = {
        "shapes_matrix_skin": generator.normal(0, 0.5, (shapes, VERTICES, 3)).astype(np.float32),
        "shapes_mean_skin": neutral + generator.normal(0, 0.05, (VERTICES, 3)).astype(np.float32),
        "shapes_matrix_tongue": np.zeros((10, 4, 3), np.float32),
    }
    mask = np.sort(generator.permutation(VERTICES)[:FRONTAL]).astype(np.int32)
    skin = {"neutral": neutral, "frontalMask": mask, "poseNames": np.array(["neutral", *names], "S32"), **poses}
    return data, skin


def write(folder: Path, shapes: int, batch: int | str = "batch", names: tuple[str, ...] = ARKIT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data, skin = arrays(shapes, names)
    onnx.save(network(shapes, batch), str(folder / "network.onnx"))
    np.savez(folder / "model_data.npz", **data)
    np.savez(folder / "bs_skin.npz", **skin)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("a2f") / "model", shapes=140)


def sound(seconds: float) -> np.ndarray:
    return draw(3).normal(0, 0.3, round(seconds * 16_000)).astype(np.float32)


def by_hand(audio: np.ndarray, frame: int, shapes: int, *, mean: bool = True) -> np.ndarray:
    """Weights of one frame, from vertices: coordinate descent on the stacked least-squares problem."""
    padded = np.concatenate([np.zeros(4160), audio, np.zeros(8320)])
    window = padded[frame * 320 : frame * 320 + 8320]
    coefficients = window[list(TAPS)] @ readings(shapes).astype(np.float64)
    data, skin = arrays(shapes)
    target = np.tensordot(coefficients[:shapes], data["shapes_matrix_skin"].astype(np.float64), axes=1)
    if mean:
        target += data["shapes_mean_skin"].astype(np.float64) - skin["neutral"]
    mask = skin["frontalMask"]
    poses = np.stack([skin[name][mask].ravel() for name in ARKIT], axis=1).astype(np.float64)
    ridge = np.sqrt(RIDGE * np.mean(np.sum(poses**2, axis=0)))
    poses = np.concatenate([poses, ridge * np.eye(52)])
    rest = np.concatenate([target[mask].ravel(), np.zeros(52)])
    weights = np.zeros(52)
    squares = np.sum(poses**2, axis=0)
    for _ in range(3000):
        before = weights.copy()
        for control in range(52):
            best = weights[control] + poses[:, control] @ rest / squares[control]
            moved = min(max(best, 0.0), 1.0)
            rest -= poses[:, control] * (moved - weights[control])
            weights[control] = moved
        if np.abs(weights - before).max() < 1e-12:
            break
    return weights


@pytest.mark.parametrize("shapes", [272, 140, 3])
@pytest.mark.parametrize("batch", ["batch", 1, 7])
def test_weights_are_the_bounded_fit_of_the_vertices(shapes: int, batch: int | str, tmp_path: Path) -> None:
    teacher = open_teacher("audio2face", write(tmp_path / "m", shapes, batch))
    assert teacher.controls == ARKIT
    audio = sound(0.413)
    curves = teacher.curves(Utterance(audio))
    assert curves.shape == (21, 52)
    assert curves.dtype == np.float32
    for frame in (0, 6, 7, 20):
        # float32 through onnxruntime, a condition of up to 1e3 in the fit.
        np.testing.assert_allclose(curves[frame], by_hand(audio, frame, shapes), atol=2e-4)
    assert ((curves == 0) | (curves == 1)).any()
    assert ((curves > 0.01) & (curves < 0.99)).any()
    assert curves[:, ARKIT.index("tongueOut")].max() == 0  # its pose moves nothing


def test_without_a_mean_face(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "m")
    data, _ = arrays(140)
    np.savez(folder / "model_data.npz", shapes_matrix_skin=data["shapes_matrix_skin"])
    audio = sound(0.1)
    curves = open_teacher("audio2face", folder).curves(Utterance(audio))
    np.testing.assert_allclose(curves[2], by_hand(audio, 2, 140, mean=False), atol=2e-4)
    assert np.abs(curves[2] - by_hand(audio, 2, 140)).max() > 1e-3


def test_a_truth_value_for_each_vertex_is_a_mask_too(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "m")
    _, skin = arrays(140)
    flags = np.zeros(VERTICES, np.bool_)
    flags[skin["frontalMask"]] = True
    np.savez(folder / "bs_skin.npz", **(skin | {"frontalMask": flags}))
    spoken = Utterance(sound(0.2))
    expected = open_teacher("audio2face", model).curves(spoken)
    np.testing.assert_array_equal(open_teacher("audio2face", folder).curves(spoken), expected)


def test_poses_are_found_by_name(model: Path, tmp_path: Path) -> None:
    spoken = Utterance(sound(0.2))
    expected = open_teacher("audio2face", model).curves(spoken)
    folder = shutil.copytree(model, tmp_path / "m")
    _, skin = arrays(140)
    order = [name[0].upper() + name[1:] for name in reversed(ARKIT)]
    poses = {name[0].upper() + name[1:]: skin[name] for name in ARKIT}
    rest = {name: skin[name] for name in ("neutral", "frontalMask")}
    np.savez(folder / "bs_skin.npz", poseNames=np.array(order), **rest, **poses)  # and text instead of bytes
    np.testing.assert_allclose(open_teacher("audio2face", folder).curves(spoken), expected, atol=1e-5)

    some = tuple(name for name in ARKIT if name != "cheekPuff")
    np.savez(folder / "bs_skin.npz", poseNames=np.array(some), **rest, **{name: skin[name] for name in some})
    teacher = open_teacher("audio2face", folder)
    assert teacher.controls == ARKIT
    assert teacher.curves(spoken)[:, ARKIT.index("cheekPuff")].max() == 0

    names = ("rig_open", "rig_close")
    np.savez(
        folder / "bs_skin.npz", poseNames=np.array(names), **rest, rig_open=skin["jawOpen"], rig_close=skin["jawLeft"]
    )
    assert open_teacher("audio2face", folder).controls == names


def test_long_speech_in_flat_memory_and_at_any_length(model: Path) -> None:
    teacher = open_teacher("audio2face", model)
    whole = sound(40.0)
    tracemalloc.start()
    curves = teacher.curves(Utterance(whole))
    # The windows of all frames at once would be 67 MB; a batch's matrices are 3 MB.
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert curves.shape == (2000, 52)
    middle = teacher.curves(Utterance(whole[16_000 - 8320 : 32_000 + 8320]))
    np.testing.assert_allclose(middle[26:-26], curves[50:100], atol=1e-5)  # 26 frames are a window's half
    assert teacher.curves(Utterance(whole[:1])).shape == (1, 52)
    assert teacher.curves(Utterance(whole[:0])).shape == (0, 52)


def test_the_version_is_that_of_the_files(model: Path, tmp_path: Path) -> None:
    first = open_teacher("audio2face", model).version
    folder = shutil.copytree(model, tmp_path / "m")
    assert open_teacher("audio2face", folder).version == first
    _, skin = arrays(140)
    np.savez(folder / "bs_skin.npz", **(skin | {"jawOpen": skin["jawOpen"] * 2}))
    assert open_teacher("audio2face", folder).version != first


def data_with(**change: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.savez(folder / "model_data.npz", **(arrays(140)[0] | change))


def skin_with(**change: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.savez(folder / "bs_skin.npz", **(arrays(140)[1] | change))


def network_with(shapes: int = 140, **change: object) -> Callable[[Path], None]:
    return lambda folder: onnx.save(network(shapes, **change), str(folder / "network.onnx"))  # type: ignore[arg-type]


def external(folder: Path) -> None:
    onnx.save(
        network(140), str(folder / "network.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0
    )


NAN = np.full((140, VERTICES, 3), np.nan, np.float32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "network.onnx").unlink(), r"network\.onnx: there is no such file"),
        (lambda folder: (folder / "model_data.npz").unlink(), r"model_data\.npz: there is no such file"),
        (lambda folder: (folder / "network.onnx").write_bytes(b"no network"), r"network\.onnx: not an ONNX file"),
        (lambda folder: (folder / "network.onnx").write_bytes(b""), r"network\.onnx: onnxruntime cannot load it"),
        (lambda folder: (folder / "bs_skin.npz").write_bytes(b"PK"), r"bs_skin\.npz: not an \.npz"),
        (external, "its weights lie in other files"),
        (network_with(window=8000), "8000"),
        (network_with(emotion="mood"), "it maps input, mood to result"),
        (network_with(result="frames"), "it maps input, emotion to frames"),
        (network_with(shapes=139), r"its result is \[32, 1, 168\]; .* asks for \[32, 1, 169\]"),
        (data_with(shapes_matrix_skin=NAN), "'shapes_matrix_skin' has values that are no finite floats"),
        (data_with(shapes_matrix_skin=np.zeros((140, VERTICES * 3))), "not .shapes, vertices, 3."),
        (data_with(shapes_matrix_skin=np.zeros((140, 7, 3))), r"'frontalMask' has no indices below 7"),
        (data_with(shapes_matrix_skin=np.array([{"a": 1}])), r"model_data\.npz: not an \.npz"),
        (data_with(shapes_mean_skin=np.zeros((7, 3))), r"'shapes_mean_skin' is \[7, 3\]"),
        (skin_with(frontalMask=np.array([0, VERTICES])), "'frontalMask' has no indices"),
        (skin_with(frontalMask=np.array([-1])), "'frontalMask' has no indices"),
        (skin_with(frontalMask=np.zeros(0, np.int32)), "'frontalMask' has no indices"),
        (skin_with(frontalMask=np.array([0.5])), "'frontalMask' has no indices"),
        (skin_with(poseNames=np.array(["jawOpen", "tooth"])), "'tooth' is missing"),
        (skin_with(poseNames=np.array(["jawOpen", "JawOpen"])), "different names"),
        (skin_with(poseNames=np.array(["neutral"])), "at least one"),
        (skin_with(poseNames=np.arange(3)), "not names"),
        (skin_with(poseNames=np.array(["tongueOut"])), "no pose moves any vertex"),
        (skin_with(jawOpen=np.zeros((7, 3), np.float32)), r"'jawOpen' is \[7, 3\]"),
        (skin_with(jawOpen=np.full((VERTICES, 3), np.inf)), "'jawOpen' has values"),
        (skin_with(jawOpen=arrays(140)[1]["neutral"] + 0.1), "'jawOpen' is a whole face; subtract 'neutral'"),
    ],
)
def test_nothing_of_the_folder_is_believed(
    spoil: Callable[[Path], object], message: str, model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(model, tmp_path / "m")
    spoil(folder)
    with pytest.raises(UserError, match=message):
        open_teacher("audio2face", folder)


def test_a_network_that_says_nan_is_told_with_the_file(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "m")
    loud = Utterance(np.full(1600, 3e38, np.float32), path=Path("loud.wav"))
    with pytest.raises(UserError, match=r"loud\.wav: the network gives NaN or infinite"):
        open_teacher("audio2face", folder).curves(loud)
