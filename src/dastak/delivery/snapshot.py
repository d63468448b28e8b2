"""What was learned of the routes, as it outlives a restart."""

from typing import Self

import msgspec

from dastak.delivery.breaker import Breaker
from dastak.delivery.false_receipts import Mark
from dastak.delivery.scores import Evidence, Key


class Kept(msgspec.Struct, kw_only=True):
    """What outlives a restart.

    Attributes:
        revision: That of the newest change of a weight.
        told: Which changes have not ended: route, country, and what is left of the weight.
        revisions: Those of the carriers; where one is another after the restart, an operator acted.
    """

    revision: int
    told: list[tuple[str, str, float]]
    revisions: dict[str, int]
    evidence: list[tuple[Key, Evidence]]
    marks: dict[str, Mark]
    broken: dict[str, Breaker]

    def encode(self) -> bytes:
        """Return it as it is kept."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, octets: bytes) -> Self | None:
        """Read what was kept; None when another version wrote it otherwise."""
        try:
            return msgspec.json.decode(octets, type=cls)
        except msgspec.DecodeError:
            return None
