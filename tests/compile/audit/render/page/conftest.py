"""Reports with everything in them, and a real browser without a network: Chromium, driven through a pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compile.audit.budget import Budget, Check, Status
from compile.audit.claims import Parity
from compile.audit.difference import Change, Difference
from compile.audit.findings.finding import Finding
from compile.audit.library import Library
from compile.audit.report import Report, Row
from compile.audit.sizes import Sizes
from compile.memory import plan
from targets.base import Dissection, Kind, Lifetime, Section

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)

# Chromium listens on descriptor 3 and answers on 4; a process of its own puts them there, for a fork that runs Python
# is not allowed where there are threads.
PIPES = """
import fcntl, os, sys
first, second = (fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3])
os.dup2(first, 3)
os.dup2(second, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Tab:
    """One page, and everything that it complained of or asked for."""

    def __init__(self, folder: Path, chromium: str) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PIPES, str(to_read), str(to_write), *command],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """The result of a command; events that arrive meanwhile are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._read], [], [], 60)[0], "Chromium does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "Chromium has gone"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def open(self, page: Path, width: int = 1280, dark: bool = False, script: bool = True, height: int = 900) -> None:
        """Load ``page``, as wide and as dark as asked; forgets what was before."""
        self.events.clear()
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": ["light", "dark"][dark]}]
        )
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and let go a key by its name (``Enter``, ``ArrowRight`` …)."""
        for kind in ("keyDown", "keyUp"):
            code = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}.get(key, 0)
            text = "\r" if key == "Enter" and kind == "keyDown" else ""
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        return base64.b64decode(data)

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Exceptions, messages of the console and of the log, such as violations of the page's own policy."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in kinds]

    @property
    def requests(self) -> list[str]:
        """Every address that was asked for."""
        sent = (event for event in self.events if event.get("method") == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

    def close(self) -> None:
        self._session = None
        self.call("Browser.close")
        os.close(self._write)
        os.close(self._read)
        self._process.wait(10)


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """Chromium by ``$CHROMIUM`` or one of ``NAMES``; the tests that need it are skipped where there is none."""
    named = os.environ.get("CHROMIUM")
    chromium = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if chromium is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} is installed and $CHROMIUM is not set")
    tab = Tab(tmp_path_factory.mktemp("chromium"), chromium)
    yield tab
    tab.close()


HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)",
    "<!--",
    "]]>",
    "&lt;b&gt; &amp;",
    "javascript:alert(1)",
    "url(https://example.com/x.png)",
    "\x00\x1b[31m\u202egnp.exe\ud800\ufffe",
    "[3 others]",
    "weights",
    "a" * 5_000,
    "",
)


def dissection(names: Sequence[str], file: str = "m.tflite") -> Dissection:
    """A layer a name: int8 weights, a float32 scale, 8 bytes of graph; a chain of activations with one long branch."""
    sections: list[Section] = []
    end = 0
    for index, name in enumerate(names):
        sizes = (
            (Kind.WEIGHTS, "int8", 1_000 + 997 * index % 5_003),
            (Kind.QUANTIZATION, "float32", 4),
            (Kind.GRAPH, "", 8),
        )
        for kind, dtype, size in sizes:
            sections.append(Section(file, end, end + size, kind, name, dtype, operator=f"{name[:9]}Conv"))
            end += size
    sections.append(Section(file, end, end + 300, Kind.METADATA))
    last = len(names)
    alive = [Lifetime(f"{name}:{index}", 64 * (index % 7 + 1), index, index + 1) for index, name in enumerate(names)]
    alive.append(Lifetime("skip", 640, 0, last))
    steps = tuple(f"op {index} {name}" for index, name in enumerate((*names, "ADD")))
    return Dissection({file: end + 300}, tuple(sections), tuple(alive), {}, steps=steps)


def row_of(found: Dissection, target: str = "tflite", **others: Any) -> Row:
    """A row with the sizes of ``found``; nothing was compressed, so that is by rule of thumb."""
    arena = plan(found.lifetimes, found.alignment)
    weights = sum(s.end - s.start for s in found.sections if s.kind in (Kind.WEIGHTS, Kind.QUANTIZATION))
    file = sum(found.sizes.values())
    sizes = Sizes(file, file * 9 // 10, weights, arena.size, arena.bound, found.unknown)
    return Row(target, next(iter(found.sizes)), sizes, dissection=found, arena=arena, **others)


def _check(subject: str, status: Status, measured: int | None, limit: int | None, detail: str) -> Check:
    origin = f"phiz.toml, [budget.mobile] {subject}"
    return Check("mobile", subject, status, measured, limit, detail, origin, "ask the runtime team")


def everything() -> Report:
    """A page with every part: each status, a difference, findings, unknown sizes, an artefact that is not there."""
    plain = row_of(dissection([f"encoder/block.{index}/conv" for index in range(12)]))
    unknown = tuple(f"the shape of activation 'x{index}'" for index in range(9))
    open_ended = replace(dissection(["a", "b", "c"], "m.onnx"), unknown=unknown)
    changes = {
        "section": (Change("weights", 9_000, 12_345), Change("graph", 500, 100), Change("metadata", 0, 77)),
        "layer": tuple(Change(f"layer {index}", 100 * (index % 3), 7_000 - 100 * index) for index in range(40)),
    }
    assert plain.sizes is not None
    metrics = {"file": (90_000, plain.sizes.file), "download": (None, plain.sizes.download), "brotli": (None, None)}
    rows = (
        replace(
            plain,
            ratio=1.0123,
            parity=Parity("run", 36.31, 0.25),
            checks=(
                _check("file", Status.PASS, plain.sizes.file, 100_000, ""),
                _check("footprint", Status.WARN, 980_000, 1_000_000, "its footprint of 980 kB is 98 % of the cap"),
                _check("download", Status.FAIL, 3_400_001, 3_400_000, "its download exceeds the cap by 1 byte"),
                _check("growth of file", Status.PASS, -1_200, 5_000, ""),
            ),
            findings=(Finding("duplicate-tensors", "'a' and 'b' are the same", "store one", 1_204, ("a", "b")),),
            difference=Difference("git:main (1a2b3c4)", "m.tflite", metrics, changes, "the baseline is stale"),
            notes=("it was not measured",),
        ),
        row_of(
            open_ended,
            "onnx",
            checks=(_check("footprint", Status.UNKNOWN, None, 1_000_000, f"its footprint is not known: {unknown[0]}"),),
        ),
        Row("coreml", "m.mlpackage", None, reasons=("'m.mlpackage' is missing",)),
    )
    return Report(
        "student", rows, (Budget("mobile", warn=0.95, origin="phiz.toml"),), Library("libtflite.so", 3_100_000)
    )


@pytest.fixture(scope="session")
def report() -> Report:
    return everything()


@pytest.fixture(scope="session")
def hostile() -> Report:
    """Names that want to be more than names, wherever a report has one."""
    name = "\n".join(HOSTILE[:5])
    difference = Difference(
        name, name, {"file": (1, 2)}, {"layer": tuple(Change(one, 1, 9) for one in HOSTILE)}, stale=name
    )
    rows = tuple(
        row_of(
            dissection([*HOSTILE, "</script>"], file),
            file,
            reasons=(name,),
            checks=(Check(name, name, Status.FAIL, 2, 1, name, name, name),),
            findings=(Finding(name, name, name, 9, HOSTILE),),
            difference=difference,
            notes=HOSTILE,
            parity=Parity("run", 1.0, 1.0, evaluated_with=name, runtime=name),
        )
        for file in HOSTILE[:4]
    )
    return Report(name, rows, library=Library(name, 1))


@pytest.fixture(scope="session")
def made() -> Callable[[Sequence[str]], Dissection]:
    """A dissection with a layer for each name."""
    return dissection


@pytest.fixture(scope="session")
def row() -> Callable[..., Row]:
    """A row of a dissection, with its sizes and an arena."""
    return row_of
