"""One request of a customer's program, as the books keep it."""

from typing import Final, NamedTuple

# In the place of a status: nothing was sent, or the answer never came.
NOT_SENT: Final = -1
NO_ANSWER: Final = 0
# Wrong codes that may be judged for one verification.
ATTEMPTS_MAX: Final = 5


class Call(NamedTuple):
    """One request of a customer's program and what came of it.

    Attributes:
        sent_s: When the system had taken all of it; 0 where nothing was sent.
    """

    kind: str
    number: str
    asked_s: float
    answered_s: float
    status: int
    id: str = ""
    approved: bool = False
    replayed: bool = False
    retry_after_s: int | None = None
    state: str = ""
    sent_s: float = 0.0
