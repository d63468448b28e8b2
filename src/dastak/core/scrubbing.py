"""What the flows ask of India's DLT registers: before a text is sent, and for each route that may have it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from dastak.core.verification import Verification


class Dlt(Protocol):
    """What tenants registered with India's DLT platforms."""

    def applies(self, verification: Verification) -> bool:
        """Say whether its texts must be registered, as far as the tenant told us."""

    def check(self, verification: Verification, header: str, text: str, code: str) -> None:
        """Refuse a text that no template of this header carries. Raises: TemplateMismatch."""

    def fields(
        self, verification: Verification, header: str, text: str, route: str, now: datetime
    ) -> Mapping[str, str]:
        """Return what a scrubber behind a route wants to know; nothing where nothing is registered.

        Raises:
            CarrierRejected: This route may not carry the text.
        """
