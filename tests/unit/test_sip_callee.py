"""The callee of the bench answers requests, and nothing that came to its port by chance."""

import pytest

from bench.sip_callee import Does, SipCallee

OPTIONS = (
    b"OPTIONS sip:phone@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 7\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def test_request_is_answered() -> None:
    [said] = SipCallee(Does.IS_BUSY).hear(OPTIONS)

    assert said.startswith(b"SIP/2.0 200 OK\r\n")


@pytest.mark.parametrize(
    "octets",
    [b"SIP/2.0 200 OK\r\nTo: <sip:c@d>\r\n\r\n", b"\x80\xc8\x00\x06 a report on the sound", b"", b"\r\n\r\n"],
)
def test_what_is_no_request_is_not_answered(octets: bytes) -> None:
    assert SipCallee(Does.IS_BUSY).hear(octets) == []
