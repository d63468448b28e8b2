"""Sign up, log in, switch two-factor login on, log out."""

import re
from collections.abc import Mapping
from typing import Final

from dastak.demo_bank import passwords
from dastak.demo_bank.code_desk import begin
from dastak.demo_bank.counter import Bank, Go, Page, Visit, new_secret
from dastak.demo_bank.ledger import Person, Question

_USERNAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{1,28}[a-z0-9])")
_MSISDN: Final = re.compile(r"\+[1-9][0-9]{7,14}")
HOME_COUNTRY: Final = "+91"

_NO_NUMBER: Final = "Write your mobile number with its country code, such as +91 98765 43210."
_SAME: Final = "Take one that is not your username."
_WRONG: Final = "The username or the password is not correct."
_TOO_OFTEN: Final = "Too many wrong passwords. Wait a quarter of an hour."


def show_sign_up(_bank: Bank, _visit: Visit) -> Page:
    """Show the form of a new account."""
    return _sign_up({}, {})


def sign_up(bank: Bank, visit: Visit) -> Page | Go:
    """Open an account and log its person in; the number is not proved yet and counts for nothing."""
    username, password = visit.form.get("username", "").strip().lower(), visit.form.get("password", "")
    msisdn = read_msisdn(visit.form.get("number", ""))
    errors = {}
    if not _USERNAME.fullmatch(username):
        errors["username"] = "A username has 3 to 30 letters, digits, dots or hyphens."
    if not passwords.LENGTH_MIN <= len(password) <= passwords.LENGTH_MAX:
        errors["password"] = f"A password has at least {passwords.LENGTH_MIN} characters."
    elif password.lower() == username:
        errors["password"] = _SAME
    if msisdn is None:
        errors["number"] = _NO_NUMBER
    if errors or msisdn is None:
        return _sign_up(visit.form, errors)
    person = bank.ledger.add_person(username, passwords.hash_password(password), msisdn)
    if person is None:
        return _sign_up(visit.form, {"username": "This username is taken."})
    return Go("/two-factor", _let_in(bank, visit, person.n, None))


def show_login(bank: Bank, visit: Visit) -> Page | Go:
    """Show the form, unless somebody is in already."""
    return Go("/account") if visit.person(bank) else _login("", {})


def login(bank: Bank, visit: Visit) -> Page | Go:
    """Check the password; whoever switched it on is asked for a code before anything is shown."""
    username, password = visit.form.get("username", "").strip().lower(), visit.form.get("password", "")
    if not bank.ledger.may_try(username, visit.address):
        return _login(username, {"password": _TOO_OFTEN}, 429)
    person = bank.ledger.person_named(username)
    if not passwords.matches(None if person is None else person.password, password) or person is None:
        return _login(username, {"password": _WRONG})
    bank.ledger.forget_tries(username, visit.address)
    if passwords.outdated(person.password):
        bank.ledger.change_password(person.n, passwords.hash_password(password))
    if not person.two_factor:
        return Go("/account", _let_in(bank, visit, person.n, None))
    question = begin(bank, person, "login", visit.address)
    if isinstance(question, str):
        return _login(username, {"password": question}, 503)
    return Go(question.page or "/code", _let_in(bank, visit, None, question))


def log_out(bank: Bank, visit: Visit) -> Go:
    """Forget this browser."""
    bank.ledger.close_session(visit.secret)
    return Go("/login", new_secret())


def show_two_factor(bank: Bank, visit: Visit) -> Page | Go:
    """Invite to switch it on."""
    person = visit.person(bank)
    return Go("/login") if person is None else _two_factor(person, None)


def two_factor(bank: Bank, visit: Visit) -> Page | Go:
    """Send a code to the number, which may be changed as long as it is not proved."""
    person = visit.person(bank)
    if person is None or person.two_factor:
        return Go("/login")
    msisdn = read_msisdn(visit.form.get("number", ""))
    if msisdn is None:
        return _two_factor(person, _NO_NUMBER)
    bank.ledger.change_number(person.n, msisdn)
    question = begin(bank, bank.ledger.person(person.n), "enrol", visit.address)
    if isinstance(question, str):
        return _two_factor(bank.ledger.person(person.n), question)
    bank.ledger.ask(visit.secret, question)
    return Go(question.page or "/code")


def read_msisdn(text: str) -> str | None:
    """Read a number as people write it; without a country code it is one of here."""
    bare = re.sub(r"[\s().-]", "", text)
    if re.fullmatch(r"0?[1-9][0-9]{9}", bare):
        bare = HOME_COUNTRY + bare.lstrip("0")
    return bare if _MSISDN.fullmatch(bare) else None


def _let_in(bank: Bank, visit: Visit, person: int | None, question: Question | None) -> str:
    """Give the browser a new secret for what it has earned, and make the old one worthless."""
    bank.ledger.close_session(visit.secret)
    secret = new_secret()
    bank.ledger.open_session(secret, person=person, question=question)
    return secret


def _sign_up(form: Mapping[str, str], errors: dict[str, str]) -> Page:
    values = {"username": form.get("username", ""), "number": form.get("number", ""), "errors": errors}
    return Page("sign_up.html", values, 422 if errors else 200)


def _login(username: str, errors: dict[str, str], status: int = 422) -> Page:
    return Page("login.html", {"username": username, "errors": errors}, status if errors else 200)


def _two_factor(person: Person, error: str | None) -> Page:
    errors = {} if error is None else {"number": error}
    return Page("two_factor.html", {"number": person.msisdn, "errors": errors}, 422 if errors else 200)
