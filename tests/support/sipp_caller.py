"""SIPp as who calls: its steps are a list, and its exit status says whether all were seen."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.needed import program

END_S_MAX: Final = 20
TRANSPORTS: Final = {"UDP": "u1", "TCP": "t1"}
_FROM: Final = "From: <sip:+911600100200@shop.example>;tag=[call_number]caller"
_HEAD: Final = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch="


def invite(
    number: str, *, rtp_port: int = 0, headers: Sequence[str] = (), cseq: int = 1, repeat: bool = True
) -> str:
    """Call a number; without a port of its own for sound it offers nothing."""
    sdp = ""
    if rtp_port:
        sdp = (
            "v=0\no=shop 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=audio {rtp_port} RTP/AVP 8 0 97\na=rtpmap:97 telephone-event/8000\n"
        )
    lines = [
        f"INVITE sip:{number}@[remote_ip]:[remote_port] SIP/2.0",
        f"{_HEAD}z9hG4bK-[call_number]-invite{cseq}",
        _FROM,
        f"To: <sip:{number}@[remote_ip]>",
        "Call-ID: [call_id]",
        f"CSeq: {cseq} INVITE",
        "Contact: <sip:shop@[local_ip]:[local_port];transport=[transport]>",
        "Max-Forwards: 70",
        *headers,
    ]
    return _send(lines, sdp, repeat=repeat)


def expect(status: int, *, optional: bool = False, auth: bool = False, way: bool = True) -> str:
    """Wait for an answer."""
    how = f'optional="{str(optional).lower()}" rrs="{str(way).lower()}"'
    return f'<recv response="{status}" {how}{" auth=" + chr(34) + "true" + chr(34) if auth else ""}/>'


def expect_request(method: str) -> str:
    """Wait for a request of the phone, and answer it."""
    lines = [
        "SIP/2.0 200 OK",
        "[last_Via:]",
        "[last_From:]",
        "[last_To:]",
        "[last_Call-ID:]",
        "[last_CSeq:]",
    ]
    return f'<recv request="{method}"/>{_send(lines, "")}'


def ask(method: str, number: str, *, cseq: int = 1, headers: Sequence[str] = (), body: str = "") -> str:
    """Ask something in the dialog, or for an ACK acknowledge what came last."""
    refused = method in {"CANCEL", "ACK-refused"}
    branch = f"z9hG4bK-[call_number]-invite{cseq}" if refused else "[branch]"
    to = f"To: <sip:{number}@[remote_ip]>" if method == "CANCEL" else "[last_To:]"
    method = method.partition("-")[0]
    lines = [
        f"{method} sip:{number}@[remote_ip]:[remote_port] SIP/2.0",
        f"{_HEAD}{branch}",
        _FROM,
        to,
        "Call-ID: [call_id]",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:shop@[local_ip]:[local_port];transport=[transport]>",
        "Max-Forwards: 70",
        *headers,
    ]
    return _send(lines, body, repeat=method != "ACK")


def pause(milliseconds: int) -> str:
    """Do nothing for a while."""
    return f'<pause milliseconds="{milliseconds}"/>'


def _send(lines: Sequence[str], body: str, *, repeat: bool = False) -> str:
    kind = ["Content-Type: application/sdp"] if body.startswith("v=0") else []
    text = "\n".join([*lines, *kind, "Content-Length: [len]", "", body])
    return f"<send {'retrans=' + chr(34) + '500' + chr(34) if repeat else ''}><![CDATA[\n{text}\n]]></send>"


async def sipp_calls(*steps: str, port: int, directory: Path, transport: str = "UDP") -> str:
    """Call, and return all messages; fail if anything else was seen than these steps.

    SIPp takes a message that is said again for a repeat, and says its own answer to it again.
    """
    scenario = "\n".join(steps)
    (directory / "steps.xml").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="caller">\n{scenario}\n</scenario>\n'
    )
    command = [
        program("sipp"),
        f"127.0.0.1:{port}",
        *("-sf", "steps.xml", "-i", "127.0.0.1", "-m", "1", "-nostdin", "-t", TRANSPORTS[transport]),
        *("-trace_err", "-error_file", "errors.log", "-trace_msg", "-message_file", "messages.log"),
        *("-timeout", f"{END_S_MAX}s", "-timeout_error"),
    ]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=2 * END_S_MAX,
    )
    logs = [directory / name for name in ("errors.log", "messages.log")]
    told = "\n".join(log.read_text(errors="replace") for log in logs if log.exists())
    assert done.returncode == 0, told[-6000:]
    return told
