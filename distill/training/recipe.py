"""What to train, written down: a TOML file becomes frozen dataclasses; paths are relative to the file's folder.

A recipe names labels, or audio and who labels it, and one or more stages. A stage trains one student; a later stage may
learn from an earlier one (``guide``) or go on from it (``init``). docs/training.md lists every key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from compile.errors import UserError
from compile.tables import choose, parse, strings, table
from distill.augment.presets import PRESETS, Augmentation
from distill.pretrained import SHIPPED, locate
from distill.students import folder as students
from distill.training.stage import Recipe, Stage
from distill.training.toml_fields import NUMBER, check, fill

FEATURE = 0.2  # weight of the distance to a guide's features, unless the recipe says another
LARGEST = 1_000_000  # frames a step: about a gigabyte of audio


@dataclass(frozen=True)
class Corpus:
    """Where labels come from.

    Attributes:
        folder: of the labels.
        audio: files, folders, globs and manifests to be labelled first; what is labelled already is kept.
        synthetic: sentences to be spoken into the folder's ``speech/`` and labelled, too.
        teacher: who labels.
        teacher_path: the folder of the teacher's own files; None: it has none.
        offset: seconds by which the teacher's curves are late.
        held_out: share kept from training, by ``split_by``; 0: as the sources say.
        split_by: ``speaker`` or ``file``.
        jobs: processes of this machine that share the work.
    """

    folder: Path
    audio: tuple[str, ...] = ()
    synthetic: int = 0
    teacher: str = "phonetic"
    teacher_path: Path | None = None
    offset: float = 0.0
    held_out: float = 0.0
    split_by: str = "speaker"
    jobs: int = 1

    @property
    def made(self) -> bool:
        """Whether there is something to label; else the folder holds labels already."""
        return bool(self.audio or self.synthetic)


@dataclass(frozen=True)
class Plan:
    """A whole recipe: what to label, what to train, in order, and the folder of events for TensorBoard."""

    path: Path
    corpora: tuple[Corpus, ...]
    stages: tuple[Stage, ...]
    events: Path | None = None


_TOP: Mapping[str, tuple[type, ...]] = {"labels": (str, list), "events": (str,), "every": (dict,), "stage": (list,)}
_CORPUS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("folder", "teacher", "teacher_path", "split_by"), (str,)),
    **dict.fromkeys(("offset", "held_out"), NUMBER),
    "audio": (str, list),
    "synthetic": (int,),
    "jobs": (int,),
}
_TABLES = ("weights", "augmentation")
_STAGE = (
    "name",
    "student",
    "look_ahead",
    "out",
    "guide",
    "alignment",
    "init",
    "rig",
    *_TABLES,
)  # besides the fields of Recipe


def read(path: Path) -> Plan:
    """Read a recipe.

    Raises:
        UserError: unreadable, not TOML, an unknown key (names the nearest), a value of the wrong kind or that cannot
            be; the message names file, table and key.
    """
    return plan_of(parse(path), path)


def plan_of(data: Mapping[str, object], path: Path) -> Plan:
    """The recipe that ``data`` is, as if ``path`` held it; raises as :func:`read`."""
    where, folder = str(path), path.parent
    data = table(data, _TOP, where)
    if "labels" not in data:
        raise UserError("it names no labels", where=where, fix='write for example: labels = "labels"')
    entries = data["labels"] if isinstance(data["labels"], list) else [data["labels"]]
    corpora = tuple(
        _corpus(entry, folder, f"{where}, labels[{index}]" if len(entries) > 1 else f"{where}, labels")
        for index, entry in enumerate(entries, 1)
    )
    if not corpora:
        raise UserError("'labels' is empty", where=where, fix='write for example: labels = "labels"')
    _different("the labels", [str(corpus.folder) for corpus in corpora], where)
    if not data.get("stage"):
        raise UserError("it has no stage", where=where, fix="write a table [[stage]]")
    every = data.get("every", {})
    _known(every, f"{where}, [every]")
    stages: list[Stage] = []
    for index, entry in enumerate(data["stage"], 1):
        stage = _stage(entry, every, stages, folder, f"{where}, [[stage]] {index}")
        if stage.recipe.shares is not None and len(stage.recipe.shares) != len(corpora):
            raise UserError(
                f"'shares' has {len(stage.recipe.shares)} numbers for {len(corpora)} labels folders",
                where=f"{where}, [[stage]] {index}",
            )
        stages.append(stage)
    _different("a stage's name", [stage.name for stage in stages], where)
    _different("a stage's folder", [str(stage.out) for stage in stages], where)
    events = _text(data, "events", where)
    return Plan(path, corpora, tuple(stages), folder / events if events else None)


def moved(plan: Plan, folder: Path) -> Plan:
    """``plan`` with all its students in ``folder``, by the names of their stages."""
    places = {str(stage.out): folder / stage.name for stage in plan.stages}

    def place(name: str) -> str:
        return str(places.get(name, name))

    stages = (
        replace(stage, out=places[str(stage.out)], guide=place(stage.guide), init=place(stage.init))
        for stage in plan.stages
    )
    return replace(plan, stages=tuple(stages))


def milliseconds(text: str, where: str) -> float:
    """``"64 ms"`` as 64.0.

    Raises:
        UserError: not a number of milliseconds.
    """
    match = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*ms\s*", text)
    if match is None:
        raise UserError(f"'{text}' is not a number of milliseconds", where=where, fix="write for example: 64 ms")
    return float(match.group(1))


def _corpus(entry: object, folder: Path, where: str) -> Corpus:
    values = dict(table({"folder": entry} if isinstance(entry, str) else entry, _CORPUS, where))
    if not _text(values, "folder", where):
        raise UserError("it has no 'folder'", where=where, fix='write for example: folder = "labels"')
    audio = values.get("audio", [])
    places = (audio,) if isinstance(audio, str) else strings(audio, f"{where} audio")
    if not all(places):
        raise UserError("'audio' holds an empty name", where=where)
    for key in values.keys() & {"synthetic", "offset", "held_out", "split_by", "jobs"}:
        check(key, values[key], where)
    corpus = Corpus(
        **values
        | {
            "folder": folder / values["folder"],
            "audio": tuple(str(folder / place) for place in places),
            "teacher_path": folder / values["teacher_path"] if _text(values, "teacher_path", where) else None,
        }
    )
    if not corpus.made and values.keys() - {"folder"}:
        key = sorted(values.keys() - {"folder"})[0]
        raise UserError(f"'{key}' is for labelling", where=where, fix="add 'audio' or 'synthetic', or leave it out")
    return corpus


def _stage(entry: object, every: Mapping[str, Any], before: list[Stage], folder: Path, where: str) -> Stage:
    _known(entry, where)
    assert isinstance(entry, dict)
    tables = {key: {**_table(every, key), **_table(entry, key)} for key in _TABLES}
    values = {**every, **entry, **tables}
    recipe = fill(Recipe(), {key: values[key] for key in values.keys() & _names(Recipe) - tables.keys()}, where)
    augmentation = dict(tables["augmentation"])
    preset = _preset(augmentation.pop("preset", "gentle"), f"{where} augmentation")
    recipe = replace(
        recipe,
        weights=fill(recipe.weights, tables["weights"], f"{where} weights"),
        augmentation=fill(preset, augmentation, f"{where} augmentation"),
    )
    if recipe.batch * recipe.frames > LARGEST:
        raise UserError(
            f"{recipe.batch} sequences of {recipe.frames} frames are more than {LARGEST:,} frames a step",
            where=where,
            fix="lower 'batch' or 'frames'",
        )
    earlier = {stage.name: str(stage.out) for stage in before}

    def trained(key: str) -> str:
        """The folder that ``guide`` or ``init`` means: an earlier stage's, one by its path, or what ships."""
        value = _text(values, key, where)
        return earlier.get(value) or (value if value.startswith(SHIPPED) or not value else str(folder / value))

    init = trained("init")
    begun = _begun(init, before)
    student = _text(values, "student", where, begun.student)
    look_ahead = (
        milliseconds(_text(values, "look_ahead", where), f"{where} look_ahead")
        if "look_ahead" in values
        else begun.look_ahead
    )
    try:
        students.architecture(student, look_ahead)
    except UserError as error:
        raise UserError(error.what, where=where, fix=error.fix) from error
    name = _text(values, "name", where, student)
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(f"'{name}' cannot name a stage", where=f"{where} name", fix="write letters, digits and -")
    if not values.get("guide"):
        for key, there in {"alignment": "alignment" in values, "feature": recipe.weights.feature}.items():
            if there:
                raise UserError(
                    f"'{key}' is for learning from a guide", where=where, fix="name a guide, or leave it out"
                )
    elif "feature" not in tables["weights"]:
        recipe = replace(recipe, weights=replace(recipe.weights, feature=FEATURE))
    alignment = _text(values, "alignment", where, "face")
    check("alignment", alignment, where)
    rig, out = _text(values, "rig", where), _text(values, "out", where)
    return Stage(
        name=name,
        out=folder / (out or f"students/{name}"),
        student=student,
        look_ahead=look_ahead,
        guide=trained("guide"),
        alignment="heard" if alignment == "heard" else "face",
        init=init,
        rig=folder / rig if rig else None,
        recipe=recipe,
    )


def _begun(init: str, before: list[Stage]) -> Stage:
    """A stage of the shape that a student has which is to be gone on from: an earlier stage's, or one that is there.

    Whether it is there at all is asked when the work starts (``pipeline.require``).
    """
    unknown = Stage("", Path())
    for stage in before:
        if str(stage.out) == init:
            return stage
    if not init:
        return unknown
    try:
        shape = students.shape_of(students.read_facts(locate(init)))
    except UserError:
        return unknown
    return replace(unknown, student=shape.name, look_ahead=shape.look_ahead_ms)


def _known(entry: object, where: str) -> None:
    """Refuse what is no table, and keys that no stage has; their values are looked at where they are read."""
    names = (*_STAGE, *sorted(_names(Recipe) - {*_TABLES}))
    if not isinstance(entry, dict):
        raise UserError("is not a table", where=where)
    for key in entry:
        if key not in names:
            raise UserError(f"unknown key {key!r}", where=where, fix=choose(key, names))
        if key in _TABLES and not isinstance(_table(entry, key), dict):
            raise UserError(f"'{key}' is not a table", where=where)


def _table(entry: Mapping[str, Any], key: str) -> Any:
    """A table within a stage; of an augmentation, the name of its preset is enough."""
    value = entry.get(key, {})
    return {"preset": value} if key == "augmentation" and isinstance(value, str) else value


def _preset(name: object, where: str) -> Augmentation:
    if not isinstance(name, str) or name not in PRESETS:
        raise UserError(f"'preset' is {name!r}", where=where, fix=choose(str(name), PRESETS))
    return PRESETS[name]


def _names(kind: type) -> set[str]:
    return {item.name for item in fields(kind)}


def _text(values: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
    value = values.get(key, default)
    if not isinstance(value, str) or "\0" in value or (key in values and not value):
        raise UserError(f"'{key}' is {value!r}", where=where, fix="write text in quotes")
    return value


def _different(what: str, names: list[str], where: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{what} '{twice}' is there twice", where=where, fix="choose different ones")
