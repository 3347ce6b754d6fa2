"""Where the user reads what a command has to say."""

from __future__ import annotations

from rich.console import Console


def screen() -> Console:
    """Standard output; wide enough for tables where it is not a terminal."""
    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=120)


def complain(message: str) -> None:
    """One line of error on standard error."""
    Console(stderr=True, highlight=False, emoji=False, soft_wrap=True).print(
        f"phiz: {message}", style="red", markup=False
    )
