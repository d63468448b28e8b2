"""The page on which a code is typed, and the way back from Dastak's."""

from dataclasses import replace

from dastak.demo_bank import code_desk
from dastak.demo_bank.counter import Bank, Go, Page, Visit, new_secret
from dastak.demo_bank.ledger import Question
from dastak.demo_bank.money import exact

# Where each question comes from, and where its right answer leads.
_BEGINS = {"login": "/login", "enrol": "/two-factor", "app": "/authenticator", "pay": "/pay"}
_ENDS = {
    "login": "/account",
    "enrol": "/account?done=enrol",
    "app": "/account?done=app",
    "pay": "/account?done=pay",
}
# Two of the buttons, by what they have Dastak do.
_CHANNELS = {"resend": "sms", "call": "voice"}
_SENT = {"resend": "The message is on its way.", "call": "Your phone rings in a moment."}


def show_code(_bank: Bank, visit: Visit) -> Page | Go:
    """Show where the code is typed; to look at it sends nothing."""
    question = _asked(visit)
    if question is None:
        return Go("/account")
    return _code(question, said=_SENT.get(visit.query.get("sent", "")))


def code(bank: Bank, visit: Visit) -> Page | Go:
    """Take what was typed, or one of the other buttons."""
    question = _asked(visit)
    if question is None:
        return Go("/account")
    wanted = visit.form.get("do", "")
    if wanted == "stop":
        code_desk.call_off(bank, question)
        bank.ledger.forget(visit.secret, question)
        return Go(_BEGINS[question.kind])
    # A voice names neither amount nor payee: a payment is not approved by what it says.
    if wanted in _CHANNELS and (question.kind, wanted) != ("pay", "call"):
        error = code_desk.again(bank, question, _CHANNELS[wanted])
        if error is not None:
            return _code(question, error=error, status=429)
        # From now on it is the code of the message that counts, whatever was asked for before.
        bank.ledger.ask(visit.secret, replace(question, app=False))
        return Go(f"/code?sent={wanted}")
    return _typed(bank, visit, question)


def come_back(bank: Bank, visit: Visit) -> Page | Go:
    """Take somebody back from Dastak's page.

    This acts on a GET, as every way back from another site does; what it brings only this session knows.
    """
    question = _asked(visit)
    if question is None:
        return Go("/account")
    told = visit.query.get("verification", ""), visit.query.get("state", "")
    return _approved(bank, visit, question) if code_desk.came_back(bank, question, *told) else Go("/code")


def show_help(bank: Bank, visit: Visit) -> Page | Go:
    """Say why a code may not have come: what happened to this one so far, and what to do."""
    question = _asked(visit)
    if question is None:
        return Go("/account")
    return Page("help.html", {"story": code_desk.story(bank, question)})


def _asked(visit: Visit) -> Question | None:
    return None if visit.session is None else visit.session.question


def _typed(bank: Bank, visit: Visit, question: Question) -> Page | Go:
    checked = code_desk.check(bank, question, visit.form.get("code", ""))
    if isinstance(checked, str):
        return _code(question, error=checked, status=422)
    if checked:
        return _approved(bank, visit, question)
    if checked.reason == "consumed":
        # A button pressed twice: the other request has the approval, and acts on it.
        return Go("/account")
    if checked.over:
        bank.ledger.forget(visit.secret, question)
        values = {"sentence": code_desk.why_not(checked), "back": _BEGINS[question.kind]}
        return Page("over.html", values, 422)
    return _code(question, error=code_desk.why_not(checked), status=422)


def _approved(bank: Bank, visit: Visit, question: Question) -> Page | Go:
    """Act on the right code, once; whoever logs in by it gets a new secret."""
    if not bank.ledger.answered(visit.secret, question):
        if question.kind != "pay":
            return Go("/account")
        values = {"sentence": "Nothing was paid: the balance is too small.", "back": "/account"}
        return Page("over.html", values, 409)
    if question.kind != "login":
        return Go(_ENDS[question.kind])
    bank.ledger.close_session(visit.secret)
    secret = new_secret()
    bank.ledger.open_session(secret, person=question.person, question=None)
    return Go(_ENDS["login"], secret)


def _code(
    question: Question, *, error: str | None = None, said: str | None = None, status: int = 200
) -> Page:
    phone = question.msisdn
    values = {
        "kind": question.kind,
        "app": question.app,
        # Whoever only knows the password learns the last two digits; who proves a number has typed it.
        "phone": phone if question.kind == "enrol" else f"ending in {phone[-2:]}",
        "payee": question.payee,
        "amount": exact(question.amount_paise),
        "errors": {} if error is None else {"code": error},
        "said": said,
    }
    return Page("code.html", values, status)
