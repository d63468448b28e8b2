"""Judge what a carrier answered to a request: taken under which id, refused for which reason, or unclear.

What cannot be understood may still have been taken, so it counts as unclear and never as a refusal.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.http_carriers.body_paths import values_at
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


def judge_answer(carrier: HttpCarrier, status: int, body: bytes, *, own_id: str) -> tuple[str, ...]:
    """Return the id under which the carrier took the message; several where each part has one, in order.

    Raises:
        CarrierRejected: It said no.
        CarrierUnavailable: Nobody can tell; it may have the message.
    """
    return judge(carrier.profile.answer, carrier.settings.outcomes, status, body, own_id=own_id)


def judge(
    form: AnswerForm, own: Mapping[str, Outcome], status: int, body: bytes, *, own_id: str = ""
) -> tuple[str, ...]:
    """Do the same by a form alone; `own` is what the operator says of codes, before all tables.

    Raises:
        CarrierRejected: It said no.
        CarrierUnavailable: Nobody can tell.
    """
    read = _read(form, body)
    code = _code(form, read)
    if status in form.ok and _says_yes(form, read):
        refs = (own_id,) if form.own_ref else tuple(_all_at(form, read, form.ref))
        if refs:
            return refs
        raise CarrierUnavailable("The carrier said yes, but gave no id.", outcome_unknown=True)
    tables = (own, form.outcomes)
    outcome = outcome_of(code, *tables) or outcome_of(str(status), form.statuses, STATUS_OUTCOMES)
    if outcome is Outcome.ACCEPTED and form.own_ref:
        return (own_id,)  # it has this very message already
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
    if wanted is None:
        return True
    said = _all_at(form, read, wanted.path)
    return bool(said) and all(word.lower() in _yes(form) for word in said)


def _code(form: AnswerForm, read: Any) -> str:
    """Return the first reason; a part that was taken gives none for the others."""
    for where in form.codes:
        said = _all_at(form, read, where)
        reasons = [word for word in said if word.lower() not in _yes(form)] if len(said) > 1 else said
        if reasons:
            return reasons[0]
    return ""


def _yes(form: AnswerForm) -> set[str]:
    return set() if form.ok_when is None else {word.lower() for word in form.ok_when.any_of}


def _all_at(form: AnswerForm, read: Any, where: str) -> list[str]:
    """Return what stands at a place: once, or once for each part where the path has a `*`."""
    if read is None or not where:
        return []
    if form.format == "json":
        return values_at(read, where)
    found = re.search(where, read)
    return [found[1].strip()[:200]] if found and found[1].strip() else []
