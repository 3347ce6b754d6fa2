"""The command line starts with what is typed, and with nothing else."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from compile.cli import COMMANDS


def test_help_names_every_command(phiz):
    shown = phiz("--help").out
    assert all(f"{name} " in shown and summary in shown for name, _, summary in COMMANDS)


@pytest.mark.parametrize(("name", "function", "summary"), COMMANDS)
def test_every_command_has_its_help(phiz, name, function, summary):
    """Its own, and not that of a command that was not asked for."""
    ran = phiz(name, "--help")
    assert ran.code == 0
    words = getattr(import_module(f"compile.cli.{function}"), function).__doc__.split()
    assert " ".join(words[:5]) in " ".join(ran.out.split())


def test_a_misspelt_command(phiz):
    ran = phiz("audti")
    assert ran.code == 2
    assert "audit" in ran.err


@pytest.mark.parametrize(
    ("arguments", "imported"), [(["--help"], set()), (["audit", "--help"], {"audit"}), (["nothing"], set())]
)
def test_only_what_is_typed_is_imported(arguments, imported):
    code = (
        "import sys\nsys.argv = ['phiz', *sys.argv[1:]]\nfrom compile.cli import COMMANDS, main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print({name for _, name, _ in COMMANDS if f'compile.cli.{name}' in sys.modules} or '')\n"
        "print([name for name in ('rich.progress', 'brotli', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == [str(imported or ""), "[]"]
