"""The machine that a benchmark ran on, in words; no names and no paths."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

WORTH_KNOWING = ("avx2", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")  # what int8 is fast by


def machine() -> dict[str, Any]:
    """Processor, cores and how many of them this process may use, memory, system and Python."""
    model, flags = _processor()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        "processor": model,
        "instructions": [name for name in WORTH_KNOWING if name in flags],
        "cores": os.cpu_count(),
        "usable": usable,
        "memory": memory,
        "system": f"{platform.system()} {platform.machine()}",
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def _processor() -> tuple[str, set[str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown", set()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return facts.get("model name", "unknown"), set(facts.get("flags", facts.get("Features", "")).split())
