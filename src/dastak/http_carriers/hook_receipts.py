"""Read the receipts in a webhook, whatever form its vendor gives them."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from dastak.core.errors import MalformedRequest
from dastak.core.message import CarrierRef, Receipt
from dastak.core.outcome import Outcome
from dastak.http_carriers.body_paths import events_at, value_at, value_in
from dastak.http_carriers.code_tables import outcome_of, told
from dastak.http_carriers.hook_proof import Hook
from dastak.http_carriers.http_profile import ReceiptForm
from dastak.http_carriers.http_settings import HttpCarrier

ADDRESS_CHARACTERS_MAX: Final = 1000
_OPERATOR: Final = re.compile(r"[0-9]{5,6}")


def address_to_confirm(form: ReceiptForm, hook: Hook) -> str:
    """Return the address by which an operator confirms that webhooks are wanted; empty without a question."""
    if not form.confirm or hook.body[:1] != b"{":
        return ""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        url = value_in(msgspec.json.decode(hook.body), form.confirm)
        if isinstance(url, str) and len(url) <= ADDRESS_CHARACTERS_MAX and re.match(form.confirm_at, url):
            return url
    return ""


def read_receipts(route: str, carrier: HttpCarrier, hook: Hook) -> tuple[Receipt, ...]:
    """Return the receipts in a webhook; what has no id in it is none.

    Raises:
        MalformedRequest: It cannot be read, or has no receipt at all.
    """
    form = carrier.profile.receipt
    if form is None:
        raise MalformedRequest("This carrier sends no receipts by webhook.")
    try:
        events = events_at(body_of(hook, form.json_field), form.each)
    except (ValueError, RecursionError) as error:
        # msgspec's own errors are ValueErrors as well.
        raise MalformedRequest("The webhook is not one of this carrier's.") from error
    receipts = tuple(_receipt(route, carrier, form, event) for event in events if value_at(event, form.ref))
    if not receipts:
        raise MalformedRequest("The webhook has no id of a message.")
    return receipts


def body_of(hook: Hook, json_field: str = "") -> Any:
    """Return what a webhook says: the fields of its form or query, or its JSON.

    Args:
        hook: The webhook.
        json_field: A field of a form, or of JSON, whose value is JSON written as text.

    Raises:
        ValueError: It is neither.
    """
    fields = dict(hook.form_fields() or hook.query_fields())
    if json_field and json_field in fields:
        return msgspec.json.decode(fields[json_field])
    if hook.method == "GET" or hook.is_form:
        return fields
    body = msgspec.json.decode(hook.body)
    wrapped = value_in(body, json_field)
    return msgspec.json.decode(wrapped) if isinstance(wrapped, str) else body


def meaning_of(status: str, codes: Sequence[str], *tables: Mapping[str, Outcome]) -> Outcome:
    """Ask for both together, then the status where it is final by itself, then the reasons."""
    plain = outcome_of(status, *tables)
    pairs = [outcome_of(f"{status}:{code}", *tables) for code in codes if code]
    reasons = [] if plain is Outcome.DELIVERED else [outcome_of(code, *tables) for code in codes]
    return next(filter(None, (*pairs, *reasons, plain)), Outcome.UNKNOWN)


def _receipt(route: str, carrier: HttpCarrier, form: ReceiptForm, event: Mapping[str, Any]) -> Receipt:
    status, codes = value_at(event, form.status), [value_at(event, path) for path in form.code]
    code = next(filter(None, codes), "")
    operator = "".join(value_at(event, path) for path in form.operator)
    return Receipt(
        CarrierRef(route, value_at(event, form.ref)),
        meaning_of(status, codes, carrier.settings.outcomes, form.outcomes, carrier.shared_codes),
        f"status:{told(status)} code:{told(code)}" if code else f"status:{told(status)}",
        operator=operator if _OPERATOR.fullmatch(operator) else "",
    )
