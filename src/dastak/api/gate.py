"""Send requests away before any work when more is asked than can be done, and keep the count of the others.

What a request is, is seen at its method and path, and whose it is at its key; its body is not looked at.
Which are sent away is decided in `guard/shedding.py`.
"""

from collections.abc import Callable
from typing import Final

from dastak.api import problems
from dastak.api.exchange import Request, Response
from dastak.api.unread import authorization_of_start
from dastak.core.errors import DastakError, TooBusy
from dastak.core.tenant import Caller
from dastak.guard.shedding import RETRY_S_MAX, Entered, Kind, Shedding

# What stands in the place of a tenant where a key does not count.
NOBODY: Final = 0

_STARTS: Final = "/v1/verifications"
_RESEND: Final = "/resend"
_READING: Final = ("GET", "HEAD")

_REFUSALS: Final = tuple(
    problems.of_error(TooBusy("More is asked than can be done now; nothing was begun.", retry_after_s=wait_s))
    for wait_s in range(1, RETRY_S_MAX + 1)
)


def kind_of(method: str, path: str) -> Kind:
    """Say what is asked for. What else writes goes with the checks: it cures, as the end of a key does."""
    if method in _READING:
        return Kind.LOOK
    if path == _STARTS:
        return Kind.START
    return Kind.RESEND if path.endswith(_RESEND) else Kind.CHECK


class Gate:
    """Stands before the API.

    Args:
        shedding: Decides.
        caller_of: Says who sent a header `authorization`; it raises a `DastakError` for nobody.
        time_s: The monotonic time.
        on_shed: Hears what was refused.
    """

    def __init__(
        self,
        shedding: Shedding,
        *,
        caller_of: Callable[[bytes | None], Caller],
        time_s: Callable[[], float],
        on_shed: Callable[[Kind], None],
    ) -> None:
        self.shedding = shedding
        self._caller_of, self._time_s, self._on_shed = caller_of, time_s, on_shed

    def enter(self, request: Request) -> Entered | Response:
        """Let a request in, or return the refusal that it gets at once."""
        kind = kind_of(request.method, request.path)
        kind, tenant = self._who(kind, request.headers.get(b"authorization"))
        entered = self.shedding.enter(kind, tenant, self._time_s())
        return self._refusal(kind) if entered is None else entered

    def refuse_unread(self, octets: bytes, *, octets_max: int) -> Response | None:
        """Return the refusal of a start that nobody has read yet; None has it read."""
        if not self.shedding.crowded:
            return None
        authorization = authorization_of_start(octets, octets_max=octets_max)
        if authorization is None:
            return None
        kind, tenant = self._who(Kind.START, authorization)
        refused = self.shedding.refuse(kind, tenant, self._time_s())
        return self._refusal(kind) if refused else None

    def leave(self, entered: Entered, status: int) -> None:
        """Note that a request was answered."""
        self.shedding.leave(entered, self._time_s(), worked=status in (200, 201))

    def _who(self, kind: Kind, authorization: bytes | None) -> tuple[Kind, int]:
        try:
            return kind, self._caller_of(authorization).tenant.n
        except DastakError:
            # It will be told so, when there is time for that.
            return Kind.LOOK, NOBODY

    def _refusal(self, kind: Kind) -> Response:
        self._on_shed(kind)
        return _REFUSALS[self.shedding.retry_after_s() - 1]
