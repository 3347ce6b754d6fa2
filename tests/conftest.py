"""What tests of every folder use.

Generated tests draw the same cases in every run, so that a failure is a change's and not a day's;
``pytest --hypothesis-profile=explore`` draws new ones. Pages are opened in a real browser without a network: Chromium,
driven through a pipe.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeat")


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """A shell that starts the tests in the background has them ignore interrupts; the commands they start would too."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def compiler() -> str:
    """Any C compiler."""
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("there is no C compiler")
    return found


@pytest.fixture(scope="session")
def face_network() -> Callable[..., Any]:
    """``face_network(look_ahead_ms, controls, bounded)``: a face that streams, as an ONNX model named ``student``.

    Three strided convolutions, one over three frames, and a head, whose controls leave [0, 1] unless ``bounded``. It
    hears 1,170 samples at 16 kHz and moves every 320.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    from targets.face import Face

    def network(look_ahead_ms: float, controls: tuple[str, ...], bounded: bool) -> Any:
        random = np.random.default_rng(5)

        def weight(name: str, *shape: int) -> Any:
            gain = 2.0 * float(np.prod(shape[1:])) ** -0.5 if len(shape) > 1 else 0.3
            return numpy_helper.from_array(random.normal(0, gain, shape).astype(np.float32), name)

        window, hop, rate = 1170, 320, 16_000
        sizes = ((8, 1, 20, 10), (8, 8, 12, 8), (8, 8, 6, 4), (8, 8, 3, 1))
        shapes = {"wave": (1, 1, window), "flat": (1, -1)}
        nodes = [helper.make_node("Reshape", ["window", "wave"], ["v0"])]
        constants = [numpy_helper.from_array(np.array(shape, np.int64), name) for name, shape in shapes.items()]
        for at, (out, before, kernel, stride) in enumerate(sizes):
            constants += [weight(f"w{at}", out, before, kernel), weight(f"b{at}", out)]
            nodes.append(helper.make_node("Conv", [f"v{at}", f"w{at}", f"b{at}"], [f"c{at}"], strides=[stride]))
            nodes.append(helper.make_node("Relu", [f"c{at}"], [f"v{at + 1}"]))
        constants.append(weight("w", len(controls), 8))
        nodes.append(helper.make_node("Reshape", ["v4", "flat"], ["features"]))
        nodes.append(helper.make_node("Gemm", ["features", "w"], ["head" if bounded else "controls"], transB=1))
        if bounded:
            nodes.append(helper.make_node("Sigmoid", ["head"], ["controls"]))
        graph = helper.make_graph(
            nodes,
            "student",
            [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, window])],
            [helper.make_tensor_value_info("controls", TensorProto.FLOAT, [1, len(controls)])],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, Face(rate, rate / hop, window, look_ahead_ms, controls).to_metadata())
        return model

    return network


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks as small as a test's only wait for torch's threads, and for long on a busy machine."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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

    def __init__(self, folder: Path, chromium: str, flags: tuple[str, ...] = ()) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        command = [chromium, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", "about:blank"]
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
def tab(open_tab: Callable[..., Tab]) -> Tab:
    """The one that tests share."""
    return open_tab()


@pytest.fixture(scope="session")
def webgl(tab: Tab) -> None:
    """Heads are drawn by WebGL, which a browser may lack where there is no graphics card."""
    if not tab.ask("Boolean(document.createElement('canvas').getContext('webgl2'))"):
        pytest.skip("this Chromium draws no WebGL")


@pytest.fixture(scope="session")
def open_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Tab]]:
    """``open_tab(*flags)``: Chromium by ``$CHROMIUM`` or one of ``NAMES``; without one, tests are skipped."""
    named = os.environ.get("CHROMIUM")
    chromium = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if chromium is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} is installed and $CHROMIUM is not set")
    tabs: list[Tab] = []

    def open_one(*flags: str) -> Tab:
        tabs.append(Tab(tmp_path_factory.mktemp("chromium"), chromium, flags))
        return tabs[-1]

    yield open_one
    for tab in tabs:
        tab.close()
