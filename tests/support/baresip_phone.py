"""A softphone that nobody here wrote: Debian's baresip answers by itself and records what it hears."""

import json
import random
import socket
import struct
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.support.foreign_daemon import ForeignDaemon
from tests.support.patience import until

SAMPLES_PER_S: Final = 8000
WAV_HEAD_OCTETS: Final = 44
NOISE_S: Final = 60
MODULES: Final = "/usr/lib/baresip/modules"
RTP_PORTS: Final = 40
PORTS: Final = (11_000, 19_000)


class BaresipPhone:
    """One phone at `sip:number@127.0.0.1:port`."""

    def __init__(self, directory: Path, port: int, control_port: int) -> None:
        self.directory, self.port = directory, port
        self._control_port = control_port

    def heard(self) -> bytes:
        """Return what the phone heard so far, 16-bit samples."""
        [recording] = sorted(self.directory.glob("dump-*-dec.wav"))[-1:] or [None]
        # Until the call is over its head does not say how long it is.
        return b"" if recording is None else recording.read_bytes()[WAV_HEAD_OCTETS:]

    def said(self, words: str) -> bool:
        """Say whether these words are anywhere in its log."""
        return self.times_said(words) > 0

    def times_said(self, words: str) -> int:
        """Return how often these words are in its log."""
        return (self.directory / "baresip.log").read_text(encoding="utf-8", errors="replace").count(words)

    def dial(self, uri: str) -> None:
        """Call somebody."""
        self._command("dial", uri)

    def press(self, key: str) -> None:
        """Press a key in the call."""
        self._command("sndcode", key)

    def hold(self) -> None:
        """Have the caller wait."""
        self._command("hold", "")

    def resume(self) -> None:
        """Go on after a hold."""
        self._command("resume", "")

    def hang_up(self) -> None:
        """End the call."""
        self._command("hangup", "")

    def _command(self, command: str, parameters: str) -> None:
        octets = json.dumps({"command": command, "params": parameters, "token": "t"}).encode()
        with socket.create_connection(("127.0.0.1", self._control_port), 5) as control:
            control.sendall(b"%d:%s," % (len(octets), octets))
            control.recv(4096)


@contextmanager
def baresip(
    directory: Path,
    *,
    number: str,
    answers: str = "auto",
    keys: str = "rtpevent",
    options: str = "",
    registrar: int = 0,
) -> Iterator[BaresipPhone]:
    """Run a phone; skip loudly where there is none.

    Args:
        directory: Empty; its settings and recordings.
        number: Who it is.
        answers: `auto` picks up by itself, `manual` lets it ring.
        keys: How they are sent: `rtpevent` or `info`.
        options: More of the account, each after a semicolon.
        registrar: The port on this machine whose book it enters itself in, with the password `secret`; 0 is
            nobody's.
    """
    port, control_port = _free_ports()
    rtp = random.randrange(22_000, 30_000, 100)
    noise = directory / "noise.wav"
    with wave.open(str(noise), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLES_PER_S)
        hum = random.Random(1)
        out.writeframes(
            b"".join(struct.pack("<h", hum.randrange(-40, 40)) for _ in range(NOISE_S * SAMPLES_PER_S))
        )
    settings = [
        f"sip_listen 127.0.0.1:{port}",
        f"rtp_ports {rtp}-{rtp + RTP_PORTS}",
        f"ctrl_tcp_listen 127.0.0.1:{control_port}",
        f"audio_source aufile,{noise}",
        "audio_player aubridge,nowhere",
        "audio_alert aubridge,nowhere2",
        "audio_srate 8000-8000",
        "ausrc_srate 8000",
        "auplay_srate 8000",
        "audio_channels 1-1",
        f"snd_path {directory}",
        f"module_path {MODULES}",
        *(f"module {name}.so" for name in ("g711", "sndfile", "aufile", "aubridge", "srtp")),
        "module_tmp account.so",
        "module_app menu.so",
        "module_app ctrl_tcp.so",
    ]
    who = f"<sip:{number}@127.0.0.1:{port}>;regint=0"
    if registrar:
        who = f"<sip:{number}@127.0.0.1:{registrar}>;regint=60;auth_user={number};auth_pass=secret"
    account = f"{who};answermode={answers};audio_codecs=PCMU/8000/1,PCMA/8000/1;dtmfmode={keys}{options}"
    for name, text in {"config": "\n".join(settings), "accounts": account, "contacts": ""}.items():
        (directory / name).write_text(f"{text}\n")
    daemon = ForeignDaemon("baresip", ["-4", "-f", str(directory)], directory=directory)
    try:
        daemon.until_listening(control_port)
        until(lambda: "baresip is ready" in daemon.log())
        yield BaresipPhone(directory, port, control_port)
    finally:
        # In a call it says BYE again and again to whom a test has ended before it.
        daemon.stop(within_s=1)


def _free_ports() -> tuple[int, int]:
    """Return a port for SIP, whose neighbour baresip takes for TLS, and one for control.

    They are below those that the system hands out, so that no other test is given one meanwhile.
    """
    while True:
        first = random.randrange(*PORTS, 4)
        with suppress(OSError), ExitStack() as taken:
            for port in range(first, first + 3):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
                udp = taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                udp.bind(("127.0.0.1", port))
            return first, first + 2
