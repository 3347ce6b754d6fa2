"""A report as SARIF 2.1.0 (OASIS): what code scanning services show and keep track of.

A rule for each kind of limit and of finding; what fails is an error, what is close to its limit or large a warning, the
rest notes. What passes is no result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from compile.audit.render.remarks import Remark, place, remarks
from compile.audit.render.words import brief
from compile.audit.report import Report

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

# Rule -> (what it is about, what to know about it).
ABOUT = {
    "artefact": (
        "Artefact is what it should be",
        "It is missing, malformed, not what the manifest of its build says, or was rejected: build it anew.",
    ),
    "budget-file": ("File is within its limit", "The bytes on disk, of every file that the artefact draws in."),
    "budget-download": ("Download is within its limit", "The files, each compressed with deflate."),
    "budget-brotli": ("Download by brotli is within its limit", "The files, each compressed with brotli."),
    "budget-weights": (
        "Resident weights are within their limit",
        "Constants and quantisation parameters once they are loaded.",
    ),
    "budget-activations": (
        "Peak activations are within their limit",
        "The smallest arena found that holds every activation while it lives.",
    ),
    "budget-footprint": (
        "Footprint is within its limit",
        "Resident weights and peak activations: the memory that the model takes while it runs.",
    ),
    "budget-measured": (
        "Measured memory is within its limit",
        "By how much a fresh process grows that loads and runs the model.",
    ),
    "budget-dtype": ("Weights are in the dtype asked for", "Biases are exempt, and what is too small to matter."),
    "unused-tensors": ("Tensors that nothing reads", "No operator reads them, and they are no output."),
    "duplicate-tensors": ("Tensors stored more than once", "Constants of one dtype and value may share their bytes."),
    "transposed-copies": ("One weight stored twice, once transposed", "Readers may transpose one copy as they read."),
    "same-weight-two-dtypes": ("One weight in two dtypes", "The narrower copy often serves both readers."),
    "dtype": ("Weights not in the dtype asked for", "A layer left in a wider dtype takes a multiple of its bytes."),
    "wasteful-storage": ("Storage wider than the values", "The format has a denser form of the same values."),
    "zero-channels": ("Channels of zeros", "They compute a constant, or read what does not count."),
    "compressible": ("Weights that compress away", "Values of little entropy fit a narrower dtype, or can be pruned."),
    "metadata-share": ("Much metadata", "Descriptions, names and embedded files are shipped with every copy."),
    "long-names": ("Long names", "Names inside the graph are read by nobody once it runs."),
    "padding": ("Long runs of padding", "More than alignment needs."),
    "unexplained-bytes": ("Bytes that nothing refers to", "No reader of the format comes by them."),
}


def render(report: Report) -> bytes:
    """UTF-8 JSON with one run; results in the order of their weight, errors first."""
    found = remarks(report)
    rules = sorted({remark.rule for remark in found})
    driver = {
        "name": "phiz audit",
        "semanticVersion": version("phiz"),
        "rules": [_rule(rule, found) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "phiz-audit/"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(remark, rules) for remark in found],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json.dumps(log, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _rule(rule: str, found: Iterable[Remark]) -> dict[str, Any]:
    first = next(remark for remark in found if remark.rule == rule)
    short, help_text = ABOUT.get(rule) or (first.title, first.fix or "A limit of your budget; see where it is set.")
    return {
        "id": rule,
        "shortDescription": {"text": short},
        "fullDescription": {"text": help_text},
        "help": {"text": help_text},
        "defaultConfiguration": {"level": first.level.value},
    }


def _result(remark: Remark, rules: list[str]) -> dict[str, Any]:
    identity = "\n".join((remark.row.target, remark.row.path, remark.rule, remark.key))
    location = {"artifactLocation": {"uri": _uri(remark)}, "region": {"startLine": 1}}
    return {
        "ruleId": remark.rule,
        "ruleIndex": rules.index(remark.rule),
        "level": remark.level.value,
        "message": {"text": _message(f"{brief(remark.row.label, 60)}: {remark.sentence}.")},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"phiz/v1": hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()},
    }


def _uri(remark: Remark) -> str:
    """Relative; what lies outside of where the audit was started is only named."""
    path = place(remark.row)
    absolute = PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()
    return quote(brief(remark.row.path, 1_000) if absolute else str(PurePosixPath(path)))


def _message(text: str) -> str:
    """Without links (3.11.6 of the specification) or placeholders (3.11.5)."""
    return text.replace("](", "] (").replace("{", "{{").replace("}", "}}")
