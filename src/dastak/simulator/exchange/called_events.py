"""What a call to a phone tells the exchange: one record for each thing that who called may do."""

from typing import TypeAlias

import msgspec


class Confirmed(msgspec.Struct, frozen=True):
    """Our answer arrived; `sdp` is what who called says of its sound, empty where it said so before."""

    sdp: bytes


class Crossed(msgspec.Struct, frozen=True):
    """Who called gave up, and this phone shall be answered at this very moment."""


class KeyTold(msgspec.Struct, frozen=True):
    """Who called pressed a key, by SIP INFO."""

    body: bytes


class Redescribed(msgspec.Struct, frozen=True):
    """Who called wants other media, such as hold: say `answer_offer`. An empty one asks for our offer."""

    sdp: bytes


class Over(msgspec.Struct, frozen=True):
    """The call is over, in a word of telephony; told once."""

    why: str


CalledEvent: TypeAlias = Confirmed | Crossed | KeyTold | Redescribed | Over
