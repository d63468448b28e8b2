"""What is behind the login: the balance, and payments that a code of their own allows."""

from dastak.demo_bank.code_desk import begin_payment
from dastak.demo_bank.counter import Bank, Go, Page, Visit
from dastak.demo_bank.ledger import Person
from dastak.demo_bank.money import read_paise

# Dastak's own bound of a name in a text.
PAYEE_CHARACTERS_MAX = 40
_DONE = {
    "enrol": "Two-factor login is on.",
    "app": "The app is asked for from now on.",
    "pay": "The money is on its way.",
}


def home(_bank: Bank, _visit: Visit) -> Go:
    """Go to where everything begins."""
    return Go("/account")


def show_account(bank: Bank, visit: Visit) -> Page | Go:
    """Show balance and payments."""
    person = visit.person(bank)
    if person is None:
        return Go("/login")
    payments = bank.ledger.payments(person.n)
    return Page("account.html", {"payments": payments, "done": _DONE.get(visit.query.get("done", ""))})


def show_pay(bank: Bank, visit: Visit) -> Page | Go:
    """Show the form of a payment."""
    person = visit.person(bank)
    if person is None:
        return Go("/login")
    return _pay(person, "Ravi", "5000", {})


def pay(bank: Bank, visit: Visit) -> Page | Go:
    """Ask for a code that is good for this payee and this amount, and for nothing else."""
    person = visit.person(bank)
    if person is None:
        return Go("/login")
    if not person.two_factor:
        return Go("/two-factor")
    payee, amount = visit.form.get("payee", "").strip(), visit.form.get("amount", "")
    paise = read_paise(amount)
    errors = {}
    if not 0 < len(payee) <= PAYEE_CHARACTERS_MAX:
        errors["payee"] = "Say who gets the money."
    if paise is None or paise > person.balance_paise:
        errors["amount"] = "Write an amount such as 5000, not more than you have."
    if errors or paise is None:
        return _pay(person, payee, amount, errors)
    question = begin_payment(bank, person, visit.address, payee=payee, amount_paise=paise)
    if isinstance(question, str):
        return _pay(person, payee, amount, {"payee": question})
    bank.ledger.ask(visit.secret, question)
    return Go("/code")


def _pay(person: Person, payee: str, amount: str, errors: dict[str, str]) -> Page:
    values = {"payee": payee, "amount": amount, "errors": errors, "balance": person.balance_paise}
    return Page("pay.html", values, 422 if errors else 200)
