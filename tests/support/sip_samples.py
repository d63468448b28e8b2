"""SIP messages as phones, trunks and proxies send them, to read and to spoil."""

import random
from collections.abc import Sequence

from dastak.voice.sip.sip_message import Header, SipMessage, encode_request, encode_response

INVITE = (
    b"INVITE sip:+919876543210@trunk.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1;rport, SIP/2.0/TCP p.example;branch=z9hG4bK0\r\n"
    b"Max-Forwards: 70\r\n"
    b'f: "Shop, Inc" <sip:+911600100200@trunk.example>;tag=ours\r\n'
    b"t: <sip:+919876543210@trunk.example>\r\n"
    b"i: 7f3a@127.0.0.1\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"m: <sip:dastak@127.0.0.1:5070;transport=UDP>\r\n"
    b"Record-Route: <sip:p1;lr>,\r\n  <sip:p2;lr>\r\n"
    b"c: application/sdp\r\n"
    b"l: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
)
RINGING = (
    b"SIP/2.0 180 Ringing\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5070;received=127.0.0.1;branch=z9hG4bK1;rport=5070\r\n"
    b"From: <sip:+911600100200@trunk.example>;tag=ours\r\n"
    b"To: <sip:+919876543210@trunk.example>;tag=theirs\r\n"
    b"Call-ID: 7f3a@127.0.0.1\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:127.0.0.1:5060;transport=UDP>\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)
BUSY = RINGING.replace(b"180 Ringing", b"486 Busy Here").replace(
    b"Content-Length", b'Reason: Q.850;cause=17;text="User busy"\r\nContent-Length'
)
CHALLENGE = RINGING.replace(b"180 Ringing", b"407 Proxy Authentication Required").replace(
    b"Content-Length",
    b'Proxy-Authenticate: Digest realm="trunk.example", nonce="abc", qop="auth,auth-int", algorithm=MD5\r\n'
    b"Content-Length",
)
BYE = (
    b"BYE sip:dastak@127.0.0.1:5070 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK9\r\n"
    b"From: <sip:+919876543210@trunk.example>;tag=theirs\r\n"
    b"To: <sip:+911600100200@trunk.example>;tag=ours\r\n"
    b"Call-ID: 7f3a@127.0.0.1\r\n"
    b"CSeq: 2 BYE\r\n"
    b"Reason: Q.850;cause=16\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)
ALL = (INVITE, RINGING, BUSY, CHALLENGE, BYE)


def friendly_scanner(method: str) -> bytes:
    """Return what SIPVicious sends to every address there is, in its manner."""
    return (
        f"{method} sip:100@192.0.2.1 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 127.0.1.1:5061;branch=z9hG4bK-3108226434;rport\r\n"
        "Content-Length: 0\r\n"
        'From: "sipvicious"<sip:100@1.1.1.1>;tag=3463383666663261313363340134383331373437\r\n'
        "Accept: application/sdp\r\n"
        "User-Agent: friendly-scanner\r\n"
        'To: "sipvicious"<sip:100@1.1.1.1>\r\n'
        "Contact: sip:100@127.0.1.1:5061\r\n"
        f"CSeq: 1 {method}\r\n"
        "Call-ID: 863450324623411870345323\r\n"
        "Max-Forwards: 70\r\n\r\n"
    ).encode()


def reply(
    request: SipMessage,
    status: int,
    *,
    tag: str = "theirs",
    headers: Sequence[Header] = (),
    body: bytes = b"",
    contact: str = "<sip:callee@127.0.0.1:5066>",
) -> bytes:
    """Answer a request as a peer would that was not written by us."""
    to = request.first("To")
    lines: list[Header] = [
        *(("Via", via) for via in request.all("Via")),
        ("From", request.first("From")),
        ("To", to if request.to_tag or not tag else f"{to};tag={tag}"),
        ("Call-ID", request.call_id),
        ("CSeq", f"{request.cseq} {request.method}"),
    ]
    if contact and request.method == "INVITE":
        lines.append(("Contact", contact))
    return encode_response(status, "Said So", [*lines, *headers], body)


def ask(
    invite: SipMessage,
    method: str,
    *,
    cseq: int = 1,
    tag: str = "theirs",
    branch: str | None = None,
    headers: Sequence[Header] = (),
    body: bytes = b"",
) -> bytes:
    """Send a request in the dialog that an INVITE of ours began."""
    to = invite.first("To").partition(";tag=")[0]
    via = f"SIP/2.0/UDP 127.0.0.1:5066;branch={branch or f'z9hG4bKpeer{method}{cseq}'}"
    return encode_request(
        method,
        "sip:dastak@127.0.0.1:5070",
        [
            ("Via", via),
            ("From", f"{to};tag={tag}"),
            ("To", invite.first("From")),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{cseq} {method}"),
            *headers,
        ],
        body,
    )


def spoiled(octets: bytes, dice: random.Random) -> bytes:
    """Change a message in a few places as bad networks and worse people do."""
    spoilt = bytearray(octets)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(spoilt))
        match dice.randrange(5):
            case 0:
                spoilt[at] = dice.randrange(256)
            case 1:
                del spoilt[at : at + dice.randrange(12)]
            case 2:
                spoilt[at:at] = dice.choice(
                    [b'"', b"<", b">", b";", b",", b"\r\n", b"\0", b"\xff", b"=", b" "]
                )
            case 3:
                other = dice.choice(ALL)
                start = dice.randrange(len(other))
                spoilt[at:at] = other[start : start + 20]
            case _:
                spoilt[at : at + 3] = b"9" * dice.randrange(40)
    return bytes(spoilt)
