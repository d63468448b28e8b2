"""An authenticator app instead of texts: made, proved by its first code, taken away."""

from dastak.demo_bank import code_desk
from dastak.demo_bank.counter import Bank, Go, Page, Visit
from dastak.demo_bank.ledger import Person


def show_authenticator(bank: Bank, visit: Visit) -> Page | Go:
    """Show whether there is one, and what it is good for."""
    person = _person(bank, visit)
    return _overview(bank, person) if isinstance(person, Person) else person


def authenticator(bank: Bank, visit: Visit) -> Page | Go:
    """Make one and show its QR code, this once; or take it away."""
    person = _person(bank, visit)
    if not isinstance(person, Person):
        return person
    if visit.form.get("do") == "remove":
        error = code_desk.remove_authenticators(bank, person)
        return _overview(bank, person, error)
    made = code_desk.make_authenticator(bank, person)
    if isinstance(made, str):
        return _overview(bank, person, made)
    factor, question = made
    bank.ledger.ask(visit.secret, question)
    return Page("scan.html", {"qr": factor.qr_svg, "secret": factor.secret, "errors": {}})


def _person(bank: Bank, visit: Visit) -> Person | Go:
    """Return who is in and has proved a number, for an authenticator belongs to one."""
    person = visit.person(bank)
    if person is None:
        return Go("/login")
    return person if person.two_factor else Go("/two-factor")


def _overview(bank: Bank, person: Person, error: str | None = None) -> Page:
    there = code_desk.has_authenticator(bank, person)
    errors = {} if error is None else {"make": error}
    return Page("authenticator.html", {"there": there, "errors": errors}, 503 if error else 200)
