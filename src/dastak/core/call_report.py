"""What people tell who were called and did not ask: the fraud side is told, and their phones get a rest."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from dastak.core.ids import VerificationId
from dastak.core.msisdn import Msisdn
from dastak.core.tenant import Mode

# So long nobody is called again unasked, by any tenant: who started it may well go on.
COOLING: Final = timedelta(days=1)


class CallReport(NamedTuple):
    """One report; `n` is its number in the store."""

    n: int
    tenant: int
    verification: VerificationId
    mode: Mode
    msisdn: Msisdn
    at: datetime


class ReportPage(NamedTuple):
    """One page of reports, newest first; `cursor` asks for the next one and is None at the end."""

    reports: tuple[CallReport, ...]
    cursor: int | None
