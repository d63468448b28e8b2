"""SIPp as the callee: what it does is a list of steps, and its exit status says whether all were seen."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.processes import free_port
from tests.support.needed import program
from tests.support.patience import until

SDP: Final = (
    "v=0\no=callee 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 49170 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n"
)
# What later steps need of the INVITE.
_KEEP: Final = (
    '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>'
    '<ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>'
)
END_S_MAX: Final = 20.0
TRANSPORTS: Final = {"UDP": "u1", "TCP": "t1"}


def expect(request: str, *, optional: bool = False) -> str:
    """Wait for a request, or its repeat; anything else fails the scenario."""
    action = f"<action>{_KEEP}</action>" if request == "INVITE" else ""
    return f'<recv request="{request}" rrs="true" optional="{str(optional).lower()}">{action}</recv>'


def expect_answer(status: int) -> str:
    """Wait for an answer to a request of the callee."""
    return f'<recv response="{status}"/>'


def authenticated(*then: str) -> str:
    """Wait for an INVITE and go on only if it proves that it knows shop's password, else send 403 and end."""
    check = '<verifyauth assign_to="valid" username="shop" password="secret"/>'
    return (
        f'<recv request="INVITE" rrs="true" test="valid" next="1"><action>{_KEEP}{check}</action></recv>'
        f"{answer(403, 'Wrong')}{expect('ACK')}"
        f'<nop next="2"/><label id="1"/>{"".join(then)}<label id="2"/>'
    )


def answer(
    status: int,
    reason: str = "Said So",
    *,
    headers: Sequence[str] = (),
    cseq: str = "[last_CSeq:]",
    tag: str = "callee",
    sdp: bool = False,
    repeat: bool = False,
) -> str:
    """Answer the last request; with `cseq` the INVITE that came before it."""
    lines = [
        f"SIP/2.0 {status} {reason}",
        "[last_Via:]" if cseq == "[last_CSeq:]" else "Via:[$via]",
        "[last_Record-Route:]",
        "[last_From:]",
        f"[last_To:];tag={tag}" if tag else "[last_To:]",
        "[last_Call-ID:]",
        cseq,
        "Contact: <sip:callee@[contact];transport=[transport]>",
        *headers,
    ]
    return _send(lines, SDP if sdp else "", 'retrans="500"' if repeat else "")


def ask(method: str, cseq: int, *, headers: Sequence[str] = (), body: str = "") -> str:
    """Send a request within the dialog."""
    lines = [
        f"{method} [next_url] SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "From: <sip:callee@trunk.example>;tag=callee",
        "To:[$from]",
        "[last_Call-ID:]",
        f"CSeq: {cseq} {method}",
        "Max-Forwards: 70",
        *headers,
    ]
    return _send(lines, body, "" if method == "ACK" else 'retrans="500"')


def pause(milliseconds: int) -> str:
    """Do nothing for a while."""
    return f'<pause milliseconds="{milliseconds}"/>'


def _send(lines: Sequence[str], body: str, how: str) -> str:
    kind = ["Content-Type: application/sdp"] if body == SDP else []
    text = "\n".join([*lines, *kind, "Content-Length: [len]", "", body])
    return f"<send {how}><![CDATA[\n{text}\n]]></send>"


class Sipp:
    """One SIPp that takes one call, or several that are all alike."""

    def __init__(
        self, steps: Sequence[str], directory: Path, *, transport: str, contact_port: int, calls: int = 1
    ) -> None:
        self.port = free_port()
        self._directory = directory
        scenario = "\n".join(steps)
        (directory / "steps.xml").write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="callee">\n{scenario}\n'
            '<Reference variables="from,via"/></scenario>\n'
        )
        command = [
            program("sipp"),
            *("-sf", "steps.xml", "-i", "127.0.0.1", "-p", str(self.port), "-m", str(calls), "-nostdin"),
            *("-t", TRANSPORTS[transport], "-trace_err", "-error_file", "errors.log", "-trace_msg"),
            *("-message_file", "messages.log", "-key", "contact", f"127.0.0.1:{contact_port or self.port}"),
        ]
        with (directory / "screen.log").open("wb") as screen:
            self._process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=screen, stderr=screen
            )
        until(lambda: self._process.poll() is not None or _bound(self.port, transport))
        assert self._process.poll() is None, self.told()

    def told(self) -> str:
        """Return what it complained of, and what was said."""
        files = ("errors.log", "messages.log", "screen.log")
        return "\n".join(
            (self._directory / file).read_text(errors="replace")[-3000:]
            for file in files
            if (self._directory / file).exists()
        )

    def messages(self) -> list[str]:
        """Return every message that it sent or received so far, each below a line that says which."""
        file = self._directory / "messages.log"
        text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        return text.split("-" * 47)[1:]

    async def saw_everything(self, within_s: float = END_S_MAX) -> None:
        """Wait until the whole scenario has been seen; fail if it was not."""
        status = await asyncio.to_thread(self._process.wait, within_s)
        assert status == 0, self.told()

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


@asynccontextmanager
async def sipp(
    *steps: str, directory: Path, transport: str = "UDP", contact_port: int = 0, calls: int = 1
) -> AsyncIterator[Sipp]:
    """Run SIPp with these steps; skip where it cannot be had.

    With a `contact_port` the callee wants to be reached there within the dialog.
    """
    peer = await asyncio.to_thread(
        lambda: Sipp(steps, directory, transport=transport, contact_port=contact_port, calls=calls)
    )
    try:
        yield peer
    finally:
        peer.stop()


def _bound(port: int, transport: str) -> bool:
    """Say whether somebody listens, without sending anything: SIPp would take that for a call."""
    table = Path("/proc/net/udp" if transport == "UDP" else "/proc/net/tcp").read_text()
    return f"0100007F:{port:04X} 00000000:0000" in table
