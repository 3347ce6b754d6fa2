from __future__ import annotations

from bench.peers.lines import needed

SOURCE = '''"""A file."""

LIMIT = 3


def plain(model):
    """What it is.

    More of it.
    """
    import tool

    # why
    tool.run(
        model,
    )


def shared(model):
    helper(model, LIMIT)


def helper(model, limit):
    return model[:limit]


def twice(model):
    helper(model, 1)
    helper(model, 2)
'''


def test_code_is_counted_and_nothing_else() -> None:
    assert needed(SOURCE, "plain") == 5


def test_what_is_used_counts_once_however_often() -> None:
    assert needed(SOURCE, "shared") == 2 + 2 + 1
    assert needed(SOURCE, "twice") == 3 + 2
