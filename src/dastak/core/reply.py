"""A text that a phone sent back, and the wish in it: nothing more of a sender, or more again.

1. STOP counts for one tenant and one number, not for the sender's other tenants; START for all of them.
2. What a virtual phone writes binds test keys only: nobody stops a real number from a test page.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from dastak.core.msisdn import Msisdn

# India's operators write a sender header with their own two letters before it and its category after it.
# Source: TRAI, TCCCPR 2018 and its Second Amendment of 2025.
_INDIAN_HEADER: Final = re.compile(r"(?:[a-z]{2}-)?([a-z0-9]{3,9})(?:-[pstg])?")


class ReplyKind(StrEnum):
    """What a reply asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    OTHER = "other"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One text from a phone.

    Attributes:
        route: The way it came.
        msisdn: Who wrote it, in E.164.
        to: The sender it answers, as the carrier writes it.
        text_masked: What was written, without digits.
    """

    route: str
    msisdn: str
    to: str
    kind: ReplyKind
    text_masked: str

    def __repr__(self) -> str:
        """Show no text and no number: both are a person's."""
        return f"Reply({self.route!r}, {self.kind.value}, {len(self.text_masked)} characters)"


class HeardReply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply as it is kept.

    Attributes:
        n: Its number in the store; rises with time, and is 0 before.
        tenant: Whose text it answers; None when that cannot be known.
        test: A virtual phone wrote it.
    """

    reply: Reply
    at: datetime
    tenant: int | None
    test: bool
    n: int = 0


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """A number that wants nothing more of a tenant.

    Attributes:
        n: Its number in the store; rises with time.
        test: A virtual phone asked for it, so it binds test keys only.
    """

    n: int
    tenant: int
    msisdn: Msisdn
    test: bool
    since: datetime


def sender_key(address: str) -> str:
    """Return a sender without what carriers add to it, to compare two of them."""
    bare = address.strip().removeprefix("+").casefold()
    header = _INDIAN_HEADER.fullmatch(bare)
    return header[1] if header else bare
