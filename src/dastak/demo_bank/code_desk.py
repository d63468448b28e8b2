"""What the bank asks of Dastak, and what it tells people when that is refused."""

import secrets
from ipaddress import ip_address
from typing import Final, Literal

from dastak.demo_bank.counter import Bank
from dastak.demo_bank.ledger import Person, Question
from dastak.demo_bank.money import exact
from dastak.sdk import Checked, DastakError, InvalidRequest, RateLimited, Refused, Verification

Kind = Literal["login", "enrol", "pay"]

_PURPOSES: Final[dict[str, Literal["login", "signup", "payment"]]] = {
    "login": "login",
    "enrol": "signup",
    "pay": "payment",
}
# What became of a check, in words for the person who waits at the page.
_REASONS: Final = {
    "wrong_code": "That code is not correct. Look at the message again.",
    "older_code": "That is the code of an earlier message. Use the newest one.",
    "expired": "That code is too old.",
    "consumed": "That code was used already.",
    "exhausted": "Too many codes were wrong.",
    "locked": "Too many codes were wrong for this number.",
}

# What a person should know of each event; whatever is not here is nobody's business but ours.
_TOLD: Final = {
    "queued": "The message is written and waits for a way out.",
    "submitted": "The mobile network took the message. It mostly takes a few seconds from here.",
    "delivered": "The network says that the message is on your phone.",
    "refused": "One network did not take the message; another way is tried.",
    "undelivered": "The network says that your phone is off or out of reach.",
    "overdue": "The network says nothing; another way is tried.",
    "call": "We are calling your phone.",
}


def begin(
    bank: Bank, person: Person, kind: Kind, address: str, *, payee: str = "", amount_paise: int = 0
) -> Question | str:
    """Have a code brought to somebody's phone; or return why that is not possible now, as a sentence."""
    transaction = {} if kind != "pay" else {"amount": exact(amount_paise), "payee": payee}
    try:
        started = bank.dastak.start(
            person.msisdn,
            purpose=_PURPOSES[kind],
            domain=bank.domain,
            # Who walks through on this machine has no address that a limit could mean.
            client_ip=None if ip_address(address).is_loopback else address,
            **transaction,  # type: ignore[arg-type]
        )
    except DastakError as error:
        return sorry(error)
    state = secrets.token_urlsafe(24)
    return Question(kind, person.n, started.id, state, payee, amount_paise)


def check(bank: Bank, question: Question, typed: str) -> Checked | str:
    """Judge what was typed. What is paid comes from the question, which no form can change."""
    paying = question.kind == "pay"
    amount, payee = (exact(question.amount_paise), question.payee) if paying else (None, None)
    try:
        return bank.dastak.check(question.verification, typed, amount=amount, payee=payee)
    except InvalidRequest:
        return "Type the digits from the message."
    except DastakError as error:
        return sorry(error)


def again(bank: Bank, question: Question, channel: str) -> str | None:
    """Have the same code brought once more; return why not, as a sentence."""
    try:
        bank.dastak.resend(question.verification, channel=channel)
    except DastakError as error:
        return sorry(error)
    return None


def call_off(bank: Bank, question: Question) -> None:
    """Make a code worthless that nobody waits for any more; what is over already stays so."""
    try:
        bank.dastak.cancel(question.verification)
    except DastakError:
        return


def look(bank: Bank, question: Question) -> Verification | None:
    """Return how it stands; None when nobody can say."""
    try:
        return bank.dastak.get(question.verification)
    except DastakError:
        return None


def story(bank: Bank, question: Question) -> list[str]:
    """Tell what happened to the message so far, each thing once."""
    try:
        events = bank.dastak.timeline(question.verification)
    except DastakError:
        return []
    return list(dict.fromkeys(_TOLD[event["type"]] for event in events if event["type"] in _TOLD))


def why_not(checked: Checked) -> str:
    """Say why a code was not taken."""
    sentence = _REASONS.get(checked.reason or "", "This code does not count any more.")
    if checked.retry_after_s:
        return f"{sentence} Wait {duration(checked.retry_after_s)}."
    if checked.over:
        return f"{sentence} Start again."
    left = checked.attempts_remaining
    return f"{sentence} {'One try' if left == 1 else f'{left} tries'} left."


def sorry(error: DastakError) -> str:
    """Say what a person can do about a refusal; the rest is for our own log."""
    if isinstance(error, RateLimited):
        return f"That was too often. Try again in {duration(error.retry_after_s or 60)}."
    if isinstance(error, Refused):
        return "We may not send a message to this number. Another number helps."
    if isinstance(error, InvalidRequest) and error.field == "to":
        return "That is no number of a mobile phone. Write it as +91 98765 43210."
    return "We cannot send or check codes at this moment. Try again in a minute."


def duration(seconds: int) -> str:
    """Write a time to wait."""
    if seconds < 100:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"
