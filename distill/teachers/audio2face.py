"""NVIDIA's Audio2Face-3D, regression networks (v2.3 and alike), as a teacher.

A folder holds three files, none of which is trusted:

- ``network.onnx``: ``input`` float32 [batch, 1, 8320], audio at 16 kHz with the frame in the middle, and ``emotion``
  [batch, 1, 26] (zeros: neutral) to ``result`` [batch, 1, N]: weights of skin shapes, then 10 of the tongue's, 15
  coordinates of jaw points and 4 angles of the eyes. Skin shapes are 272 (N is 301), 140 (N is 169), or any number.
- ``model_data.npz``: ``shapes_matrix_skin`` [shapes, vertices, 3], offsets from ``shapes_mean_skin`` [vertices, 3].
- ``bs_skin.npz``: ``poseNames``, an array of vertex offsets [vertices, 3] by each of these names, the face
  ``neutral`` [vertices, 3] that they are offsets from, and ``frontalMask``, the vertices that count.

Blendshape weights are the least-squares fit of the skin within [0, 1]. With D the poses and S the shapes, both over
the frontal vertices, the fit needs only D'D and D'S, computed once: no vertex is touched again.

Tongue, jaw points and eyes are left out: the jaw moves the skin, which ``jawOpen`` is fitted to, and a control for
the eyes or a tongue within the mouth is nothing that speech decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from compile.factory import first_line
from compile.quiet import silent
from distill.arrays import Archive, open_npz
from distill.audio import HOP, frame_count
from distill.controls import ARKIT
from distill.digests import digest
from distill.teachers.base import Utterance
from distill.teachers.bounded import solve

NETWORK, SHAPES, POSES = FILES = ("network.onnx", "model_data.npz", "bs_skin.npz")
WINDOW, CENTRE = 8320, 4160  # samples
BESIDES_SKIN = 10 + 15 + 4  # tongue, jaw and eyes
NEUTRAL = "neutral"
BATCH = 32  # windows a call
RIDGE = 1e-3  # of the mean pose's energy, on each weight: poses that say the same share, those that say nothing rest
MOST_SHAPES, MOST_POSES, MOST_EMOTIONS = 2048, 512, 1024
LARGEST = 2**31 - 1  # bytes of a network; no ONNX file can be larger
FATAL_ONLY = 4  # whatever else onnxruntime logs, it raises as well


class Audio2FaceTeacher:
    """Labels by an Audio2Face-3D network: ARKit's controls, or the folder's own where it has other poses.

    Args:
        folder: with the three files.

    Raises:
        UserError: one is missing, malformed, or contradicts another.
    """

    name = "audio2face"

    def __init__(self, folder: Path) -> None:
        self.version = f"1 {digest(folder / name for name in FILES)}"
        self._fit = _Fit(open_npz(folder / SHAPES), open_npz(folder / POSES))
        self.controls = self._fit.controls
        self._network = _Network(folder / NETWORK, self._fit.shapes + BESIDES_SKIN)

    def curves(self, utterance: Utterance) -> NDArray[np.float32]:
        """``[frame_count(samples), controls]`` at 50 Hz; see :class:`distill.teachers.base.Teacher`.

        Audio of any length passes in batches of windows; before and after it is silence.

        Raises:
            UserError: the network fails, or says NaN.
        """
        frames = frame_count(len(utterance.audio))
        curves = np.zeros((frames, len(self.controls)), np.float32)
        for first, windows in _windows(utterance.audio, frames, self._network.batch):
            result = self._network.run(windows)[:, : self._fit.shapes]
            if not np.isfinite(result).all():
                raise UserError("the network gives NaN or infinite values", where=str(utterance.path or NETWORK))
            curves[first : first + len(windows)] = self._fit.weights(result)[: frames - first]
        return curves


def _windows(audio: NDArray[np.float32], frames: int, batch: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Batches (first frame, windows [batch, 8320]) around the times of frames; the last one is filled with silence."""
    for first in range(0, frames, batch):
        begin = first * HOP - CENTRE
        span = np.zeros((batch - 1) * HOP + WINDOW, np.float32)
        heard = audio[max(begin, 0) : begin + len(span)]
        span[max(-begin, 0) : max(-begin, 0) + len(heard)] = heard
        yield first, np.lib.stride_tricks.sliding_window_view(span, WINDOW)[::HOP]


class _Network:
    """The network in onnxruntime; ``batch`` is how many windows it takes a call."""

    def __init__(self, path: Path, outputs: int) -> None:
        import onnxruntime

        if path.stat().st_size > LARGEST:
            raise UserError(f"larger than {LARGEST:,} bytes", where=str(path))
        self._where = str(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL_ONLY
        # As bytes and not by its path, so that no tensor of it can lie in another file.
        data = _self_contained(path)
        available = onnxruntime.get_available_providers()
        providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
        try:
            with silent():
                self._session: Any = onnxruntime.InferenceSession(data, options, providers=providers)
        except Exception as error:  # onnxruntime raises its own types, all without a common base
            raise UserError(f"onnxruntime cannot load it: {first_line(error)}", where=self._where) from error
        shapes = {port.name: list(port.shape) for port in self._session.get_inputs()}
        given = [port.name for port in self._session.get_outputs()]
        if set(shapes) != {"input", "emotion"} or "result" not in given:
            raise UserError(
                f"it maps {', '.join(shapes)} to {', '.join(given)}; due is input, emotion to result",
                where=self._where,
                fix="give a regression network of Audio2Face-3D; diffusion networks (v3) have another contract",
            )
        sound, emotion = shapes["input"], shapes["emotion"]
        emotions = emotion[-1] if len(emotion) == 3 else None
        if sound[1:] != [1, WINDOW] or not isinstance(emotions, int) or not 1 <= emotions <= MOST_EMOTIONS:
            raise UserError(
                f"input is {sound} and emotion {emotion}; due are [batch, 1, {WINDOW}] and [batch, 1, 26]",
                where=self._where,
            )
        self.batch = sound[0] if isinstance(sound[0], int) and 1 <= sound[0] <= BATCH else BATCH
        self._neutral = np.zeros((self.batch, 1, emotions), np.float32)
        self._outputs = outputs
        self.run(np.zeros((self.batch, WINDOW), np.float32))

    def run(self, windows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Map windows ``[batch, 8320]`` to ``[batch, N]``."""
        feeds = {"input": windows[:, None], "emotion": self._neutral}
        try:
            (result,) = self._session.run(["result"], feeds)
        except Exception as error:  # as above
            raise UserError(f"onnxruntime cannot run it: {first_line(error)}", where=self._where) from error
        result = np.asarray(result)
        if result.shape not in ((self.batch, 1, self._outputs), (self.batch, self._outputs)):
            raise UserError(
                f"its result is {list(result.shape)}; {SHAPES} asks for [{self.batch}, 1, {self._outputs}]",
                where=self._where,
                fix="keep the files of one model together",
            )
        return result.reshape(self.batch, self._outputs).astype(np.float64)


def _self_contained(path: Path) -> bytes:
    """The bytes of an ONNX file that needs no other file."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import _get_all_tensors, uses_external_data

    data = path.read_bytes()
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise UserError("not an ONNX file", where=str(path)) from error
    if any(uses_external_data(tensor) for tensor in _get_all_tensors(model)):
        raise UserError("its weights lie in other files", where=str(path), fix="save it as one file with onnx.save")
    return data


class _Fit:
    """From weights of skin shapes to weights of poses; ``shapes`` is the number of the former."""

    def __init__(self, data: Archive, poses: Archive) -> None:
        names = _pose_names(poses)
        vertices = _vertices(data)
        self.shapes = data.headers["shapes_matrix_skin"].shape[0]
        mask = _mask(poses, vertices)
        basis = np.stack([_offsets(poses, name, vertices)[mask].ravel() for name in names])
        skin = _finite(data, "shapes_matrix_skin")
        self._projection = np.stack([basis @ shape[mask].ravel() for shape in skin])  # [shapes, poses]
        rest = np.zeros(basis.shape[1])
        if NEUTRAL in poses.headers and "shapes_mean_skin" in data.headers:
            mean, neutral = _offsets(data, "shapes_mean_skin", vertices), _offsets(poses, NEUTRAL, vertices)
            rest = (mean - neutral)[mask].ravel()
            _require_offsets(basis, neutral[mask].ravel(), names, poses)
        self._rest = basis @ rest
        energy = basis @ basis.T
        if not np.trace(energy) > 0:
            raise UserError("no pose moves any vertex that counts", where=str(poses.path))
        self._matrix = energy + RIDGE * np.mean(np.diag(energy)) * np.eye(len(names))
        known = {name.lower(): index for index, name in enumerate(ARKIT)}
        ours = all(name.lower() in known for name in names)
        self.controls = ARKIT if ours else names
        self._columns = [known[name.lower()] for name in names] if ours else list(range(len(names)))

    def weights(self, result: NDArray[np.float64]) -> NDArray[np.float64]:
        """``[frames, shapes]`` to ``[frames, controls]``, each in [0, 1]; controls without a pose are 0."""
        curves = np.zeros((len(result), len(self.controls)))
        curves[:, self._columns] = solve(self._matrix, result @ self._projection + self._rest)
        return curves


def _vertices(data: Archive) -> int:
    """How many vertices the skin has."""
    header = data.headers.get("shapes_matrix_skin")
    if header is None or len(header.shape) != 3 or header.shape[2] != 3 or not 1 <= header.shape[0] <= MOST_SHAPES:
        shape = "missing" if header is None else list(header.shape)
        raise UserError(f"'shapes_matrix_skin' is {shape}, not [shapes, vertices, 3]", where=str(data.path))
    return header.shape[1]


def _pose_names(poses: Archive) -> tuple[str, ...]:
    names = poses.read("poseNames", limit=1_000_000)
    if names.ndim != 1 or names.dtype.kind not in "SU" or len(names) > MOST_POSES + 1:
        raise UserError(f"'poseNames' is {names.dtype} {list(names.shape)}, not names", where=str(poses.path))
    texts = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]
    found = tuple(text for text in texts if text.lower() != NEUTRAL)
    if not found or len({name.lower() for name in found}) != len(found):
        raise UserError("'poseNames' must be different names, at least one", where=str(poses.path))
    return found


def _mask(poses: Archive, vertices: int) -> NDArray[np.int64]:
    """The vertices that count; the file has their indices, or a truth value for each."""
    mask = poses.read("frontalMask")
    if mask.dtype == np.bool_ and mask.shape == (vertices,):
        mask = np.flatnonzero(mask)
    if mask.ndim != 1 or mask.dtype.kind not in "iu" or not len(mask) or mask.min() < 0 or mask.max() >= vertices:
        raise UserError(f"'frontalMask' has no indices below {vertices}", where=str(poses.path))
    return mask.astype(np.int64)


def _offsets(archive: Archive, name: str, vertices: int) -> NDArray[np.float64]:
    header = archive.headers.get(name)
    if header is None or header.shape != (vertices, 3):
        shape = "missing" if header is None else list(header.shape)
        raise UserError(f"'{name[:80]}' is {shape}, not [{vertices}, 3]", where=str(archive.path))
    return _finite(archive, name).astype(np.float64)


def _finite(archive: Archive, name: str) -> NDArray[Any]:
    values = archive.read(name)
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        raise UserError(f"'{name[:80]}' has values that are no finite floats", where=str(archive.path))
    return values


def _require_offsets(
    basis: NDArray[np.float64], neutral: NDArray[np.float64], names: tuple[str, ...], poses: Archive
) -> None:
    """Poses that are whole faces would be fitted without a word, and wrongly."""
    faces = np.linalg.norm(basis - neutral, axis=1) < 0.5 * np.linalg.norm(basis, axis=1)
    if faces.any():
        name = names[int(np.argmax(faces))]
        raise UserError(
            f"'{name[:80]}' is a whole face", where=str(poses.path), fix="subtract 'neutral' from the poses"
        )
