"""A speech encoder of the Hugging Face formats (HuBERT, wav2vec 2.0, WavLM) with a head for a face, as a teacher.

A folder holds ``config.json`` and ``model.safetensors`` as ``save_pretrained`` writes them, perhaps
``preprocessor_config.json``, and the head: ``head.json`` and ``head.safetensors`` (see ``distill.teachers.head``).
Nothing is fetched, no code or pickle of the folder is run: the networks are the ``transformers`` library's own
classes, built from a few known numbers of ``config.json`` and filled from safetensors of exactly their shapes.

Frame ``k`` of the encoder is centred at ``k / 50`` seconds. Speech longer than a piece is heard in overlapping pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from compile.factory import first_line
from compile.quiet import quiet
from distill.audio import HOP, SAMPLE_RATE, frame_count
from distill.digests import digest
from distill.students import weights
from distill.teachers.base import Utterance
from distill.teachers.head import FACTS, WEIGHTS, build, read_head, read_json

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG, ENCODER, SOUND = "config.json", "model.safetensors", "preprocessor_config.json"
# model_type -> classes of transformers, and what fine-tuned models call the encoder within them.
FAMILIES: Mapping[str, tuple[str, str, str]] = {
    "hubert": ("HubertConfig", "HubertModel", "hubert."),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model", "wav2vec2."),
    "wavlm": ("WavLMConfig", "WavLMModel", "wavlm."),
}
# What of config.json a network is built from; the rest is about training, or about other uses.
NUMBERS = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("num_conv_pos_embeddings", "num_conv_pos_embedding_groups", "num_buckets", "max_bucket_distance"),
)
SIZES = ("conv_dim", "conv_stride", "conv_kernel")
SWITCHES = ("feat_proj_layer_norm", "conv_bias", "conv_pos_batch_norm", "do_stable_layer_norm")
WORDS = ("hidden_act", "feat_extract_norm", "feat_extract_activation")
MOST, MOST_LAYERS = 65_536, 256
AT_REST = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0}
RENAMED = (("weight_g", "parametrizations.weight.original0"), ("weight_v", "parametrizations.weight.original1"))
PIECE, OVERLAP = 30 * 50, 2 * 50  # frames that are heard at once, and how many of them at an inner end are not kept


class HubertTeacher:
    """Labels by an encoder and its head.

    Args:
        folder: with the files.

    Raises:
        UserError: one is missing, malformed, or contradicts another.
        MissingExtra: torch, transformers or safetensors is not installed.
    """

    name = "hubert"

    def __init__(self, folder: Path) -> None:
        try:
            import torch
            import transformers
            from safetensors import safe_open  # noqa: F401  (asked for here, used below)
        except ImportError as error:
            raise MissingExtra("the teacher 'hubert'", "hubert", error.name or "transformers") from error
        if not (folder / ENCODER).is_file():
            raise UserError(
                "there is no such file",
                where=str(folder / ENCODER),
                fix="phiz reads safetensors only, in one file: save_pretrained(folder, max_shard_size='100GB')",
            )
        files = [folder / name for name in (CONFIG, ENCODER, FACTS, WEIGHTS)]
        if (folder / SOUND).exists():
            files.append(folder / SOUND)
        self._head = read_head(folder / FACTS)
        self.controls = self._head.controls
        self._normalised = _normalised(folder / SOUND)
        facts = read_json(folder / CONFIG)
        config, kind, prefix = _config(facts, folder / CONFIG, transformers)
        layers = config.num_hidden_layers
        if not -layers - 1 <= self._head.layer <= layers:
            raise UserError(f"'layer' is {self._head.layer}; the encoder has 0 to {layers}", where=str(folder / FACTS))
        self._receptive = _receptive_field(config, folder / CONFIG)
        try:
            with quiet(), torch.device("meta"):
                encoder = getattr(transformers, kind)(config)
        except Exception as error:  # a config can be wrong in any way
            raise UserError(f"transformers cannot build it: {first_line(error)}", where=str(folder / CONFIG)) from error
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._encoder = fill(encoder, folder / ENCODER, prefix).to(self._device)
        self._layers = fill(build(self._head, config.hidden_size), folder / WEIGHTS).to(self._device)
        self.version = f"1 {digest(files)}"

    def curves(self, utterance: Utterance) -> NDArray[np.float32]:
        """``[frame_count(samples), controls]`` at 50 Hz; see :class:`distill.teachers.base.Teacher`.

        Raises:
            UserError: the networks fail, or say NaN.
        """
        frames = frame_count(len(utterance.audio))
        audio = utterance.audio
        if self._normalised:  # over the whole, as the library's own feature extractor does
            audio = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7) if len(audio) else audio
        curves = np.zeros((frames, len(self.controls)), np.float32)
        where = str(utterance.path or self.name)
        for begin, end, kept in pieces(frames):
            try:
                heard = self._hear(_around(audio, begin, end, self._receptive))
            except RuntimeError as error:  # what torch raises
                raise UserError(f"the network fails: {first_line(error)}", where=where) from error
            curves[kept] = heard[kept.start - begin : kept.stop - begin]
        if not np.isfinite(curves).all():
            raise UserError("the network gives NaN or infinite values", where=where)
        return curves

    def _hear(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Audio of exactly some frames to ``[frames, controls]``."""
        import torch

        with torch.inference_mode():
            said = self._encoder(torch.from_numpy(audio)[None].to(self._device), output_hidden_states=True)
            curves: Tensor = self._layers(said.hidden_states[self._head.layer])
        return np.asarray(curves[0].cpu().numpy(), np.float32)


def pieces(frames: int) -> Iterator[tuple[int, int, slice]]:
    """What is heard at once, and which of it is kept: (first frame, end, slice of kept frames)."""
    step = PIECE - 2 * OVERLAP
    inner = max(0, -(-(frames - PIECE) // step))  # cuts; a piece keeps what is no nearer than OVERLAP to a cut
    for index in range(inner + 1 if frames else 0):
        begin = index * step
        end = min(begin + PIECE, frames)
        kept = slice(begin + (OVERLAP if index else 0), end - (OVERLAP if index < inner else 0))
        yield begin, end, kept


def _around(audio: NDArray[np.float32], begin: int, end: int, receptive: int) -> NDArray[np.float32]:
    """The audio that gives frames ``begin`` to ``end``, each centred at its time; silence beyond the ends."""
    first = begin * HOP - receptive // 2
    span = np.zeros((end - begin - 1) * HOP + receptive, np.float32)
    heard = audio[max(first, 0) : first + len(span)]
    span[max(-first, 0) : max(-first, 0) + len(heard)] = heard
    return span


def _config(facts: Mapping[str, Any], path: Path, transformers: Any) -> tuple[Any, str, str]:
    """The library's config, the name of its model class, and the prefix of the encoder's weights."""
    family = facts.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UserError(f"'model_type' is {str(family)[:40]!r}", where=str(path), fix=f"give one of: {known}")
    kind, model, prefix = FAMILIES[family]
    chosen = {}
    for key in (*NUMBERS, *SIZES, *SWITCHES, *WORDS):
        if key in facts:
            if not _plausible(key, facts[key]):
                raise UserError(f"'{key}' is {str(facts[key])[:80]}", where=str(path))
            chosen[key] = tuple(facts[key]) if key in SIZES else facts[key]
    if isinstance(facts.get("layer_norm_eps"), float) and 0 < facts["layer_norm_eps"] < 1:
        chosen["layer_norm_eps"] = facts["layer_norm_eps"]
    if facts.get("add_adapter"):
        raise UserError("its adapter changes the frame rate", where=str(path), fix="save it without 'add_adapter'")
    try:
        with quiet():
            config = getattr(transformers, kind)(**chosen, **AT_REST)
    except Exception as error:  # the library checks it by itself, in its own ways
        raise UserError(f"transformers does not take it: {first_line(error)}", where=str(path)) from error
    if not len(config.conv_dim) == len(config.conv_stride) == len(config.conv_kernel):
        raise UserError("'conv_dim', 'conv_stride' and 'conv_kernel' differ in length", where=str(path))
    return config, model, prefix


def _plausible(key: str, value: object) -> bool:
    """Of the right type, and no size that no encoder has."""
    if key in SIZES:
        return isinstance(value, list) and 1 <= len(value) <= 32 and all(_plausible("", item) for item in value)
    if key in SWITCHES:
        return type(value) is bool
    if key in WORDS:
        return isinstance(value, str)
    return type(value) is int and 1 <= value <= (MOST_LAYERS if key == "num_hidden_layers" else MOST)


def _receptive_field(config: Any, path: Path) -> int:
    """Samples that a frame sees of the waveform's convolutions."""
    samples, hop = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples += (kernel - 1) * hop
        hop *= stride
    if hop != HOP:
        raise UserError(f"its frames are {hop} samples apart; due are {HOP}", where=str(path))
    return samples


def _normalised(path: Path) -> bool:
    """Whether the encoder wants audio of mean 0 and variance 1; so it is unless the file says otherwise."""
    facts = read_json(path) if path.exists() else {}
    if facts.get("sampling_rate", SAMPLE_RATE) != SAMPLE_RATE:
        raise UserError(f"it takes audio at {str(facts['sampling_rate'])[:20]} Hz, not {SAMPLE_RATE}", where=str(path))
    normalise = facts.get("do_normalize", True)
    if type(normalise) is not bool:
        raise UserError("'do_normalize' must be true or false", where=str(path))
    return normalise


def fill(network: nn.Module, path: Path, prefix: str = "") -> nn.Module:
    """``network``, which lives on the meta device, with the weights of a safetensors file, in evaluation mode.

    Tensors that the network lacks are left out; raises as ``weights.read`` does.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    state = weights.read(path, expected, renamed=partial(_renamed, prefix=prefix), fix="save it again")
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _renamed(name: str, prefix: str) -> str:
    """A tensor's name as torch has it today: fine-tuned models have a prefix, older ones the halves of weight norm."""
    name = name.removeprefix(prefix)
    for old, new in RENAMED:
        if name.endswith(f".{old}"):
            name = f"{name.removesuffix(old)}{new}"
    return name
