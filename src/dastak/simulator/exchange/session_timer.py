"""The session timer of a call to a phone: who shows when that the call is still up.

1. Who called may ask us to refresh: then an UPDATE goes out every half interval.
2. If it refreshes itself and stops, the call counts as dead a third before the interval is over.
3. A caller that takes no UPDATE gets no session timer if we were the ones to refresh.

Source: RFC 4028, sections 9 and 10.
"""

import re
from typing import Final

from dastak.voice.sip.sip_message import Header, SipMessage

INTERVAL_S_MIN: Final = 90
_SESSION: Final = re.compile(r"([0-9]{1,6})\s*(;.*)?", re.ASCII)
# How long before its end an interval counts as missed, at most.
_EARLY_S: Final = 32.0


class SessionTimer:
    """What was agreed with one INVITE.

    Attributes:
        interval_s: 0 where nothing was asked for.
        agreed: The headers of our 200.
        refreshing: The headers of our UPDATE.
    """

    def __init__(self, invite: SipMessage) -> None:
        self.interval_s, wants_us = _asked(invite)
        self._we_refresh = wants_us
        if wants_us and "update" not in invite.tokens("Allow"):
            self.interval_s = 0
        refresher = "uas" if wants_us else "uac"
        value = f"{self.interval_s};refresher="
        self.agreed: tuple[Header, ...] = ()
        if self.interval_s:
            self.agreed = (("Require", "timer"), ("Session-Expires", value + refresher))
        self.refreshing: tuple[Header, ...] = (("Supported", "timer"), ("Session-Expires", value + "uac"))
        self._at: float | None = None

    @property
    def deadline(self) -> float | None:
        """Return when something is due."""
        return self._at

    def wind(self, now: float) -> None:
        """Begin an interval."""
        if self.interval_s:
            left_s = self.interval_s - min(_EARLY_S, self.interval_s / 3)
            self._at = now + (self.interval_s / 2 if self._we_refresh else left_s)

    def refreshed(self, request: SipMessage, now: float) -> None:
        """Take a re-INVITE or UPDATE of who called: an interval begins anew."""
        interval_s, _ = _asked(request)
        if interval_s and self._at is not None:
            self.interval_s = interval_s
            self.wind(now)

    def refresh_due(self, now: float) -> bool:
        """Say whether we shall refresh now; then the next interval begins."""
        due = self._we_refresh and self._at is not None and self._at <= now
        if due:
            self.wind(now)
        return due

    def expired(self, now: float) -> bool:
        """Say whether who called should have refreshed and did not."""
        return not self._we_refresh and self._at is not None and self._at <= now


def too_short(invite: SipMessage) -> bool:
    """Say whether an INVITE asks for an interval that is to be refused with 422."""
    interval_s, _ = _asked(invite)
    return 0 < interval_s < INTERVAL_S_MIN


def _asked(request: SipMessage) -> tuple[int, bool]:
    """Return the interval that is asked for, 0 if none, and whether we are to refresh."""
    found = _SESSION.fullmatch(request.first("Session-Expires"))
    if found is None or "timer" not in request.tokens("Supported") | request.tokens("Require"):
        return 0, False
    return int(found[1]), "refresher=uas" in (found[2] or "").lower()
