"""What a number had before, and who judges by it whether it may have one more."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from dastak.core.message import MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.tenant import Mode


class PastSend(NamedTuple):
    """One send that the database remembers."""

    mode: Mode
    tenant: int
    msisdn: Msisdn
    at: datetime


class PastCall(NamedTuple):
    """One call that the database remembers, at the instant it was first offered to a trunk.

    Attributes:
        key: Its message, where it is asked whether that was counted already.
    """

    mode: Mode
    msisdn: Msisdn
    at: datetime
    key: MessageKey | None = None


class LookFurther(Exception):  # noqa: N818 - a signal: the judge is asked again, and shown all there is
    """What was before the instant since when a judge was shown a number's uses matters as well."""


class Judge(msgspec.Struct, frozen=True):
    """Judges one more use of a number by those before it, in the commit that would make it.

    The store shows its rule what all nodes have written of the number, and lets nobody write of it
    meanwhile.

    Attributes:
        use: The one more; its number's uses of the same kind are shown.
        since: Those before this instant are mostly of no consequence; None wants all that are kept.
        rule: Given the uses, and whether they are all that are kept, raises what refuses one more, and then
            nothing is written. Raises `LookFurther` where they are not and must be. May be run again.
    """

    use: PastSend | PastCall
    since: datetime | None
    rule: Callable[[Sequence[Any], bool], None]
