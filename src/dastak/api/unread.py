"""Recognise a start without reading it: how it is refused when there is no time for more.

1. Only what every program sends is recognised: one whole request for a start, with a length, nothing else.
   What looks otherwise in any way is read as usual. So both ways agree on where a request ends, or this one
   is not taken.
2. It is good for a refusal and nothing else: what is let in is read by the parser.
"""

import re
from typing import Final

# Source: RFC 9112, sections 3 and 5, narrowed to visible ASCII, spaces and no folding.
_HEAD: Final = re.compile(rb"POST /v1/verifications HTTP/1\.1\r\n(?:[!#-'*+\-.^-z|~0-9A-Z]+:[ -~]*\r\n)+\r\n")
# In small letters: whose it is, how long it is, and what may move the end of a request or of its connection,
# or wants another answer first.
_TELLING: Final = re.compile(
    rb"\r\n(?:(authorization):|content-length:(?: ?([0-9]{1,5})(?=\r))?"
    rb"|(?:transfer-encoding|expect|upgrade|connection|content-encoding|te):)"
)
_AUTHORIZATION: Final = b"\r\nauthorization:"


def authorization_of_start(octets: bytes, *, octets_max: int) -> bytes | None:
    """Return the header `authorization` of octets that are exactly one start; None for everything else.

    Args:
        octets: As they came, at the beginning of a request.
        octets_max: More are read as usual.
    """
    if len(octets) > octets_max or (head := _HEAD.match(octets)) is None:
        return None
    # Names in any case; a key is read from the octets as they came.
    lower = octets[: head.end()].lower()
    told = _TELLING.findall(lower)
    if len(told) != 2 or told[0][0] + told[1][0] != b"authorization":
        return None
    length = told[0][1] + told[1][1]
    if not length or head.end() + int(length) != len(octets):
        return None
    at = lower.index(_AUTHORIZATION) + len(_AUTHORIZATION)
    return octets[at : octets.index(b"\r\n", at)].strip(b" \t")
