"""What the bank asks of Dastak, and what it tells people when that is refused."""

import hmac
import secrets
from ipaddress import ip_address
from typing import Final, Literal

from dastak.demo_bank.counter import Bank
from dastak.demo_bank.ledger import Person, Question
from dastak.demo_bank.money import exact
from dastak.sdk import Checked, DastakError, InvalidRequest, NewFactor, RateLimited, Refused

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


def begin(bank: Bank, person: Person, kind: Literal["login", "enrol"], address: str) -> Question | str:
    """Have a code brought to be typed on Dastak's page; or return why not, as a sentence.

    That page speaks thirteen languages, tells when the phone is off and calls it. The code stays there.
    """
    purpose: Literal["login", "signup"] = "login" if kind == "login" else "signup"
    try:
        started = bank.dastak.start(
            person.msisdn,
            purpose=purpose,
            # A number is proved by a message; at a login, whoever has an authenticator is asked for its code.
            channel="auto" if kind == "login" else "sms",
            domain=bank.page_domain,
            client_ip=_limited(address),
        )
    except DastakError as error:
        return sorry(error)
    if started.channel == "totp":
        # Our own page: it offers a message to whoever does not have the app at hand.
        return Question(kind, person.n, started.id, app=True, msisdn=person.msisdn)
    state = secrets.token_urlsafe(24)
    try:
        page = bank.dastak.code_page(started.id, return_url=f"{bank.url}/code/back", state=state).url
    except DastakError:
        # The code is on its way: it can be typed on our own page as well.
        page = ""
    return Question(kind, person.n, started.id, state, page, msisdn=person.msisdn)


def begin_payment(
    bank: Bank, person: Person, address: str, *, payee: str, amount_paise: int
) -> Question | str:
    """Have a code brought that is good for this payment alone; or return why not, as a sentence.

    It is typed on our own page: what the check names is then what we are about to carry out.
    """
    try:
        started = bank.dastak.start(
            person.msisdn,
            purpose="payment",
            # Only a message can name the amount and the payee.
            channel="sms",
            amount=exact(amount_paise),
            payee=payee,
            domain=bank.domain,
            client_ip=_limited(address),
        )
    except DastakError as error:
        return sorry(error)
    return Question("pay", person.n, started.id, payee=payee, amount_paise=amount_paise, msisdn=person.msisdn)


def make_authenticator(bank: Bank, person: Person) -> tuple[NewFactor, Question] | str:
    """Make an authenticator and ask for its first code; or return why not, as a sentence."""
    try:
        for factor in bank.dastak.factors.list(person.msisdn):
            if factor.state == "pending":
                bank.dastak.factors.remove(factor.id)
        made = bank.dastak.factors.create(person.msisdn, label="app", account=person.username)
        started = bank.dastak.start(factor=made.id)
    except DastakError as error:
        return sorry(error)
    return made, Question("app", person.n, started.id, app=True, msisdn=person.msisdn)


def has_authenticator(bank: Bank, person: Person) -> bool:
    """Return whether somebody has one that counts."""
    try:
        return any(factor.state == "active" for factor in bank.dastak.factors.list(person.msisdn))
    except DastakError:
        return False


def remove_authenticators(bank: Bank, person: Person) -> str | None:
    """Go back to texts; return why not, as a sentence."""
    try:
        for factor in bank.dastak.factors.list(person.msisdn):
            bank.dastak.factors.remove(factor.id)
    except DastakError as error:
        return sorry(error)
    return None


def came_back(bank: Bank, question: Question, verification: str, state: str) -> bool:
    """Return whether the code was right on Dastak's page; the browser's word is only where to look."""
    told = (question.verification + question.state).encode()
    if not question.state or not hmac.compare_digest(told, (verification + state).encode()):
        return False
    try:
        return bool(bank.dastak.code_page_outcome(question.verification))
    except DastakError:
        return False


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


def _limited(address: str) -> str | None:
    """Return an address for Dastak's limits; whoever walks through on this machine has none that counts."""
    return None if ip_address(address).is_loopback else address


def duration(seconds: int) -> str:
    """Write a time to wait."""
    if seconds < 100:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes"
