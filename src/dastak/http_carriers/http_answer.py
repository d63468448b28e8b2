"""Judge what a carrier answered to a request: taken under which id, refused for which reason, or unclear.

What cannot be understood may still have been taken, so it counts as unclear and never as a refusal.
"""

import re
from typing import Any

import msgspec

from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.http_carriers.body_paths import first_at, value_at
from dastak.http_carriers.code_tables import outcome_of, told
from dastak.http_carriers.http_profile import AnswerForm
from dastak.http_carriers.http_settings import HttpCarrier

STATUS_OUTCOMES = {
    "401": Outcome.ROUTE_CONFIG,
    "402": Outcome.ROUTE_CONFIG,  # no credit
    "403": Outcome.ROUTE_CONFIG,
    "404": Outcome.ROUTE_CONFIG,
    "300-399": Outcome.ROUTE_CONFIG,  # never followed: it may lead anywhere
    "429": Outcome.THROTTLED,
    "503": Outcome.NETWORK_TEMPORARY,
}


def judge_answer(carrier: HttpCarrier, status: int, body: bytes, *, own_id: str) -> str:
    """Return the id under which the carrier took the message.

    Raises:
        CarrierRejected: It said no.
        CarrierUnavailable: Nobody can tell; it may have the message.
    """
    form = carrier.profile.answer
    read = _read(form, body)
    code = _code(form, read)
    if status in form.ok and _says_yes(form, read):
        ref = own_id if form.own_ref else _at(form, read, form.ref)
        if ref:
            return ref
        raise CarrierUnavailable("The carrier said yes, but gave no id.", outcome_unknown=True)
    tables = (carrier.settings.outcomes, form.outcomes)
    outcome = outcome_of(code, *tables) or outcome_of(str(status), form.statuses, STATUS_OUTCOMES)
    if outcome is Outcome.ACCEPTED and form.own_ref:
        return own_id  # it has this very message already
    unclear = status >= 500 or (status in form.ok and not code)
    if outcome is None and unclear:
        raise CarrierUnavailable(f"The carrier answered {status}.", outcome_unknown=True)
    raise CarrierRejected(
        f"The carrier answered {status}.",
        status=told(code) or f"http_{status}",
        outcome=outcome or Outcome.UNKNOWN,
    )


def _read(form: AnswerForm, body: bytes) -> Any:
    """Return a body as its format has it; None when it is not."""
    try:
        return msgspec.json.decode(body) if form.format == "json" else body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _says_yes(form: AnswerForm, read: Any) -> bool:
    wanted = form.ok_when
    return wanted is None or _at(form, read, wanted.path).lower() in {word.lower() for word in wanted.any_of}


def _code(form: AnswerForm, read: Any) -> str:
    if form.format == "json":
        return first_at(read, form.codes)
    return next(filter(None, (_at(form, read, pattern) for pattern in form.codes)), "")


def _at(form: AnswerForm, read: Any, where: str) -> str:
    if read is None or not where:
        return ""
    if form.format == "json":
        return value_at(read, where)
    found = re.search(where, read)
    return found[1].strip()[:200] if found else ""
