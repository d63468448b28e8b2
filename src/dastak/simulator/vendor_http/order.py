"""What the shapes of all vendors have in common: texts that are asked for, and webhooks that tell of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from dastak.core.msisdn import Msisdn
from dastak.simulator.faults import Fate
from dastak.simulator.vendor_http.http_listener import Asked, Said


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One text to one phone.

    Attributes:
        segments: How many parts it goes in.
        callback_url: Where its receipts are wanted; empty for nowhere.
    """

    msisdn: Msisdn
    sender: str
    text: str
    segments: int
    callback_url: str = ""

    def __repr__(self) -> str:
        """Show neither number nor code."""
        return f"Wanted({self.segments} segments)"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a customer; its address is a secret of theirs."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        """Show nothing of a person."""
        return f"Webhook({len(self.body)} octets)"


class Shape(Protocol):
    """How one vendor speaks; it decides nothing but whether a request is well formed."""

    @property
    def account(self) -> str:
        """The account, as faults and phones name it."""

    def takes(self, path: str) -> bool:
        """Say whether a path is one of this vendor's."""

    def read(self, asked: Asked) -> tuple[Wanted, ...] | Said:
        """Return the texts that a request asks for, at least one; or the vendor's refusal."""

    def message_id(self, number: int) -> str:
        """Write the id of a message."""

    def accepted(self, wanted: Wanted, message_id: str, now: datetime) -> Said:
        """Answer that texts were taken; `wanted` is the first of them."""

    def refused(self, fate: Fate) -> Said:
        """Answer as a fault says."""

    def sent(self, wanted: Wanted, message_id: str) -> Webhook | None:
        """Tell that a text is on its way; None where the vendor tells no such thing."""

    def receipt(self, wanted: Wanted, message_id: str, fate: Fate, now: datetime) -> Webhook:
        """Tell what became of a text."""
