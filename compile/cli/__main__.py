"""``python -m compile.cli``: the `phiz` command where its script is not on the path."""

from compile.cli import main

main()
