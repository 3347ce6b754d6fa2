"""A trained student becomes one that ships: weights in float16, the int8 artefact, and a model card.

    python -m bench.ship build students/tiny tiny --calibrate 'speech/*.wav'
    phiz evaluate phiz:tiny --labels unheard --by speaker --noise 20dB --json 'unheard speakers.json'
    python -m bench.ship card tiny --evaluation 'unheard speakers.json' --data data.md

The first line writes ``distill/pretrained/tiny/`` as a whole; the artefact is made of the float16 weights, so both say
the same. The last one writes its ``README.md`` again, with the figures, headed by the name of their file, and with what
``data.md`` says of the speech: which, by whom, how much, under which licence.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from compile.errors import PhizError, UserError
from compile.files import folder_atomically, require_replaceable, write_atomically
from distill import pretrained
from distill.evaluate.figures import FIGURES, shown
from distill.pretrained import ARTEFACT, CARD
from distill.students import folder as students
from distill.students.folder import FACTS, WEIGHTS

SHELF = Path(pretrained.__file__).parent
BRIEF = ("closure.f1", "r2", "correlation.jaw", "correlation.lips", "jitter")  # of groups, and in noise
QUALITY = "int8"  # in student.json: what the compiler says of the artefact

LEAST = 0.005  # what is less in all columns is no figure

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Shelf = Annotated[Path, typer.Option(help="Folder of all students that ship.")]


@app.command()
def build(
    student: Annotated[Path, typer.Argument(help="Folder of a trained student.")],
    name: Annotated[str, typer.Argument(help="What it is called from now on: phiz:NAME.")],
    calibrate: Annotated[list[str], typer.Option(help="Speech, as `phiz compile` takes it; may repeat.")],
    option: Annotated[list[str] | None, typer.Option(help="Word that `phiz compile` gets besides; may repeat.")] = None,
    shelf: Shelf = SHELF,
) -> None:
    """Write ``SHELF/NAME/``: weights, facts, artefact and card."""
    if not name.replace("-", "").isalnum():
        raise UserError(f"'{name}' is no name for a student", fix="use letters, digits and -")
    facts = students.read_facts(student)
    trained, _, _ = students.load(student)
    folder = shelf / name
    require_replaceable(folder, {WEIGHTS, FACTS, CARD, ARTEFACT}.__contains__, "a student that ships")
    with tempfile.TemporaryDirectory() as scratch:
        half, built = Path(scratch) / name, Path(scratch) / "build"
        students.save(trained, half, training=facts["training"], controls=facts["controls"], half=True)
        words = [word for place in calibrate for word in ("--calibrate", place)]
        command = ["compile", str(half), "--target", "onnx", *words, *(option or ()), "--out", str(built)]
        subprocess.run([sys.executable, "-m", "compile.cli", *command], check=True)
        parity = json.loads((built / "manifest.json").read_text())["parity"]["onnx"]
        facts = json.loads((half / FACTS).read_text()) | {QUALITY: {"sqnr_db": parity["sqnr_db"]}}
        with folder_atomically(folder) as new:
            (new / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            (new / WEIGHTS).write_bytes((half / WEIGHTS).read_bytes())
            (new / ARTEFACT).write_bytes((built / ARTEFACT).read_bytes())
            (new / CARD).write_text(text(new, name), encoding="utf-8")
    print(f"wrote {folder}/")


@app.command()
def card(
    name: Annotated[str, typer.Argument(help="Of a student on the shelf.")],
    evaluation: Annotated[list[Path] | None, typer.Option(help="JSON of `phiz evaluate`; may repeat.")] = None,
    data: Annotated[Path | None, typer.Option(help="Markdown about the speech: what, whose, licences.")] = None,
    shelf: Shelf = SHELF,
) -> None:
    """Write the model card again."""
    folder = shelf / name
    about = data.read_text(encoding="utf-8") if data is not None else ""
    reports = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in evaluation or ()}
    write_atomically(folder / CARD, text(folder, name, reports, about).encode())
    print(f"wrote {folder / CARD}")


def text(folder: Path, name: str, reports: Mapping[str, Mapping[str, Any]] | None = None, data: str = "") -> str:
    """The model card of the student in ``folder``, as Markdown.

    Args:
        folder: with weights, facts and artefact.
        name: behind ``phiz:``.
        reports: what `phiz evaluate --json` wrote, by a heading.
        data: about the speech, Markdown.
    """
    return "\n".join((*_what(folder, name), *_training(folder), *_data(data), *_figures(reports or {})))


def _what(folder: Path, name: str) -> Iterator[str]:
    facts, (student, _, _) = students.read_facts(folder), students.load(folder)
    shape = student.architecture
    count = sum(parameter.numel() for parameter in student.parameters())
    moving = [control for control, row in zip(facts["controls"], student.head.weight, strict=True) if bool(row.any())]
    yield f"# phiz:{name}\n"
    yield "Written by `python -m bench.ship card`; do not edit.\n"
    yield (
        f"A student of the architecture `{shape.name}`: speech in, {shape.outputs} face controls out, of which it "
        f"moves {len(moving)}: {', '.join(moving)}.\n"
    )
    yield from _table(
        ("", ""),
        (
            ("parameters", f"{count:,}"),
            ("input", f"{shape.window} samples, {shape.window / 16:.0f} ms, mono at 16 kHz"),
            ("look-ahead", f"{shape.look_ahead_ms:g} ms; with the three-tap ensemble 16.7 ms more"),
            ("frames", f"any rate; {shape.frame_rate:g} a second in training"),
            (f"`{WEIGHTS}`", f"{(folder / WEIGHTS).stat().st_size:,} bytes, float16"),
            (f"`{ARTEFACT}`", f"{(folder / ARTEFACT).stat().st_size:,} bytes, int8, {_quality(folder)}"),
        ),
    )
    yield f"""
    phiz bake speech.wav --model phiz:{name}                  # needs nothing but core phiz for 16-bit WAV
    phiz compile phiz:{name} --calibrate 'speech/*.wav' -t tflite -t coreml
    phiz distill labels --init phiz:{name}                    # goes on from here
"""


def _quality(folder: Path) -> str:
    found = json.loads((folder / FACTS).read_text(encoding="utf-8")).get(QUALITY, {}).get("sqnr_db")
    return "SQNR unknown" if found is None else f"{found:.1f} dB SQNR"


def _training(folder: Path) -> Iterator[str]:
    training = dict(students.read_facts(folder)["training"])
    recipe = training.pop("recipe", {})
    yield "## Training\n"
    yield from _table(("", ""), [(key.replace("_", " "), _short(value)) for key, value in training.items()])
    if recipe:
        yield "\nThe recipe:\n"
        yield from _table(("", ""), [(f"`{key}`", _short(value)) for key, value in recipe.items()])


def _data(data: str) -> Iterator[str]:
    yield f"\n## Data\n\n{data.strip() or 'Not said.'}\n"


def _figures(reports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "## Figures\n"
    if not reports:
        yield "Not measured.\n"
    for heading, report in reports.items():
        clean = [row for row in report["rows"] if row["noise_db"] is None]
        names = [
            name
            for name in FIGURES
            if any(abs((row["figures"].get(name) or {"value": 0})["value"]) >= LEAST for row in clean)
        ]
        phones = report["phones"]
        yield (
            f"### {heading}\n\n{report['utterances']} utterances, {report['seconds'] / 60:.0f} minutes, teacher "
            f"{report['teacher']}; phone times exact in {phones['exact']}, heard by the recogniser in "
            f"{phones['heard']}. docs/evaluation.md defines every figure.\n"
        )
        header = ("", *(row["subject"] for row in clean))
        yield from _table(header, [(_title(name), *(_value(row, name) for row in clean)) for name in names])
        brief = ("", *(_title(name) for name in BRIEF))
        rows = [row for row in report["rows"] if row["kind"] == "student"]
        noisy = [
            (f"{row['subject']}, noise {row['noise_db']:g} dB below", row)
            for row in rows
            if row["noise_db"] is not None
        ]
        groups = [
            (f"{row['subject']}, {value}", group)
            for row in rows
            if row["noise_db"] is None
            for values in row["groups"].values()
            for value, group in values.items()
        ]
        if noisy or groups:
            yield ""
            yield from _table(brief, [(title, *(_value(row, name) for name in BRIEF)) for title, row in noisy + groups])
        yield ""


def _title(name: str) -> str:
    meaning, family = FIGURES[name], name.partition(".")[0]
    return meaning.title if family in meaning.title or "." not in name else f"{family}: {meaning.title}"


def _value(row: Mapping[str, Any], name: str) -> str:
    figure = row["figures"].get(name)
    return shown(name, None if figure is None else figure["value"])


def _short(value: object) -> str:
    return f"`{json.dumps(value)}`" if isinstance(value, (list, dict)) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


if __name__ == "__main__":
    try:
        app()
    except PhizError as error:
        sys.exit(f"{error}")
