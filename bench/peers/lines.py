"""How many lines a user has to write: counted in the source of what calls a peer's tool."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def needed(source: str, name: str) -> int:
    """Lines of the function ``name`` of a module and of all that it uses of that module.

    Lines are those with code in them: no blank ones, comments or docstrings.
    """
    tree = ast.parse(source)
    defined = {key: node for node in tree.body for key in _names(node)}
    used, waiting = set[str](), [name]
    while waiting:
        if (key := waiting.pop()) in used:
            continue
        used.add(key)
        waiting += [node.id for node in ast.walk(defined[key]) if isinstance(node, ast.Name) and node.id in defined]
    skipped = {line for node in ast.walk(tree) for line in _docstring(node)}
    nodes = {id(defined[key]): defined[key] for key in used}.values()
    lines = {line for node in nodes for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    text = source.splitlines()
    return sum(bool(text[line - 1].strip()) and not text[line - 1].lstrip().startswith("#") for line in lines - skipped)


def _names(node: ast.stmt) -> Iterator[str]:
    """What a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)


def _docstring(node: ast.AST) -> range:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
        first = node.body[0]
        return range(first.lineno, (first.end_lineno or first.lineno) + 1)
    return range(0)
