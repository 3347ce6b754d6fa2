"""``phiz live``: what is heard now drives a face in an engine, by UDP."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import complain, screen
from compile.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from targets.player import Frame, Player

    Heard = Iterator[tuple[int, float, NDArray[np.float32]]]


class Protocol(str, Enum):
    """How frames are written."""

    LIVELINK = "livelink"
    OSC = "osc"


MICROPHONE = "microphone"
TOO_LATE = 0.5  # seconds by which computing may be behind before it is said


def live(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="An audio file, at the speed it was spoken, or: microphone.")
    ] = MICROPHONE,
    model: Annotated[
        Path,
        typer.Option("--model", "-m", metavar="PATH", help="Build folder, artefact, or phiz:NAME; streams cost least."),
    ] = Path("phiz:tiny-low-latency"),
    to: Annotated[str, typer.Option(metavar="HOST[:PORT]", help="Who listens.")] = "127.0.0.1",
    protocol: Annotated[
        Protocol, typer.Option(help="Live Link Face's packets (port 11111), or Open Sound Control's (9000).")
    ] = Protocol.LIVELINK,
    frame_rate: Annotated[float, typer.Option(min=1, max=240, metavar="RATE", help="Frames a second.")] = 60.0,
    subject: Annotated[str, typer.Option(help="The face's name in the engine.")] = "phiz",
    device: Annotated[str, typer.Option(metavar="NAME", help="Which microphone, as FFmpeg names it.")] = "",
    ensemble: Annotated[bool, typer.Option(help="Average three taps: calmer, a sixtieth of a second later.")] = True,
    gain: Annotated[bool, typer.Option(help="Follow the level of who speaks.")] = True,
) -> None:
    """Drive a face in real time, and say how late it is."""
    from compile.cli.face import artefact_of
    from distill.listening import in_real_time
    from distill.listening import microphone as listen
    from distill.pretrained import locate
    from targets.player import open_artifact

    host, port = _address(to, protocol)
    artefact = artefact_of(locate(model))
    path = Path(source)
    heard: Heard
    if source == MICROPHONE and not path.exists():
        heard = listen(device)
        first = next(heard)
        rate = first[0]
    else:
        rate = 16_000
        heard = ((rate, due, samples) for due, samples in in_real_time(path, rate))
        first = None
    face = open_artifact(artefact, sample_rate=rate, frame_rate=frame_rate, ensemble=ensemble, gain=gain)
    if protocol is Protocol.LIVELINK:
        _require_arkit(face)
    console = screen()
    console.print(f"{artefact} to {host}:{port}; waits {1000 * face.latency:.0f} ms for what comes after", markup=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            out.connect((host, port))
        except OSError as error:
            raise UserError(f"cannot be reached: {error.strerror or error}", where=f"--to {to}") from error
        sender = _Sender(face, out, protocol, subject)
        try:
            if first is not None:
                sender.hear(*first[1:])
            for _, due, samples in heard:
                sender.hear(due, samples)
            sender.send(face.flush())
        finally:
            console.print(sender.summary(), markup=False)


@dataclass
class _Sender:
    """Sends frames, and remembers how long computing took."""

    face: Player
    out: socket.socket
    protocol: Protocol
    subject: str
    sent: int = 0
    lost: int = 0
    late: list[float] = field(default_factory=list)
    told: bool = False

    def hear(self, due: float, samples: NDArray[np.float32]) -> None:
        """Push what was heard by ``due``, and send what it says."""
        frames = self.face.push(samples)
        self.send(frames)
        if frames:
            self.late.append(time.monotonic() - due)
            if self.late[-1] > TOO_LATE and not self.told:
                self.told = True
                complain(
                    f"computing is {self.late[-1]:.1f} s behind the voice; take a streaming artefact, or a smaller one"
                )

    def send(self, frames: list[Frame]) -> None:
        """Each as one datagram; that nobody listens is no reason to stop."""
        from distill.controls import worn
        from targets.packets import live_link_face, osc

        names = self.face.face.controls
        for frame in frames:
            controls = worn(frame.controls, names)
            if self.protocol is Protocol.LIVELINK:
                data = live_link_face(self.subject, self.sent, self.face.frame_rate, _arkit(names, controls))
            else:
                data = osc(names, frame.time, controls)
            try:
                self.out.send(data)
            except OSError as error:  # engines come and go, and so do networks
                if error.errno == errno.EMSGSIZE:
                    what = f"a frame takes {len(data):,} bytes, more than a datagram holds"
                    raise UserError(what, fix="shorten --subject, or drive fewer controls") from error
                if not self.lost:
                    complain(f"nobody gets the frames: {error.strerror or error}; they are sent all the same")
                self.lost += 1
            self.sent += 1

    def summary(self) -> str:
        """What was sent, and how late."""
        import numpy as np

        told = f"{self.sent:,} frames sent"
        if self.lost:
            told += f"; at {self.lost:,} of them nobody listened"
        if not self.late:
            return told
        median, worst = (1000 * float(np.quantile(self.late, share)) for share in (0.5, 0.99))
        whole = 1000 * self.face.latency
        return f"{told}, {whole:.0f} ms behind the voice by design and {median:.1f} ms (99 %: {worst:.1f}) by computing"


def _arkit(names: Sequence[str], controls: NDArray[np.float32]) -> NDArray[np.float32]:
    from distill.controls import ARKIT

    return controls[[names.index(name) for name in ARKIT]]


def _require_arkit(face: Player) -> None:
    from distill.controls import ARKIT

    missing = [name for name in ARKIT if name not in face.face.controls]
    if missing:
        what = (
            f"Live Link Face has ARKit's controls, and this face lacks {len(missing)} of them, such as '{missing[0]}'"
        )
        raise UserError(what, fix="send it by --protocol osc")


def _address(to: str, protocol: Protocol) -> tuple[str, int]:
    from targets.packets import LIVE_LINK_PORT, OSC_PORT

    host, colon, port = to.rpartition(":")
    if not colon:
        return to, LIVE_LINK_PORT if protocol is Protocol.LIVELINK else OSC_PORT
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"'{to}' is no address", where="--to", fix="write for example: 192.168.1.5:11111")
    return host, int(port)
