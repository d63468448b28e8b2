"""What an attacker tries on the demo bank: foreign forms, cookies, codes and fields; and how it ends."""

import json
import re
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.patience import until

PASSWORD: Final = "blue horses swim at night"
_NAMES = count(1)
SCRIPT: Final = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("bank") / "data", bank=True) as process:
        yield process


class Visitor:
    """A browser without a screen."""

    def __init__(self, house: DastakProcess) -> None:
        assert house.bank_url is not None
        self.http = httpx.Client(base_url=house.bank_url, trust_env=False)
        self.phones = ApiClient(house.url, None)
        self.dastak = ApiClient(house.url, house.api_key)
        self.bank_file = house.data_dir / "bank.db"
        self.name = f"visitor-{next(_NAMES)}"
        self.to = f"+91{next(FRESH)}"

    def token(self, path: str) -> str:
        found = re.search(r'name="form" value="([0-9a-f]{32})"', self.http.get(path).text)
        assert found is not None, path
        return found[1]

    def post(self, path: str, *, seen: str | None = None, **fields: str) -> httpx.Response:
        """Send a form as the page `seen` has it."""
        return self.http.post(path, data={"form": self.token(seen or path), **fields})

    def sign_up(self) -> None:
        made = self.post("/sign-up", username=self.name, password=PASSWORD, number=self.to)
        assert made.headers["location"] == "/two-factor"

    def switch_on(self) -> None:
        self.post("/two-factor", number=self.to)
        assert self.typed(self.code()).headers["location"] == "/account?done=enrol"

    def log_in(self) -> httpx.Response:
        return self.post("/login", username=self.name, password=PASSWORD)

    def code(self) -> str:
        code: str = self.phones.next_text(self.to)["code"]
        return code

    def typed(self, code: str, **fields: str) -> httpx.Response:
        return self.post("/code", do="check", code=code, **fields)

    def back(self, verification: str, state: str) -> str:
        """Come back from Dastak's page, and return where that leads."""
        answer = self.http.get("/code/back", params={"verification": verification, "state": state})
        return answer.headers["location"]

    def question(self) -> dict[str, str]:
        """Read in the bank's own file what this browser is asked."""
        digest = sha256(self.cookie().encode()).digest()
        with closing(sqlite3.connect(self.bank_file)) as database:
            (kept,) = database.execute("SELECT question FROM sessions WHERE digest = ?", (digest,)).fetchone()
        asked: dict[str, str] = json.loads(kept)
        return asked

    def cookie(self) -> str:
        return self.http.cookies["bank"]

    def inside(self) -> bool:
        return self.http.get("/account").status_code == 200


@pytest.fixture
def visitor(house: DastakProcess) -> Iterator[Visitor]:
    visitor = Visitor(house)
    with visitor.http:
        yield visitor


@pytest.fixture
def other(house: DastakProcess) -> Iterator[Visitor]:
    visitor = Visitor(house)
    with visitor.http:
        yield visitor


@pytest.fixture
def customer(visitor: Visitor) -> Visitor:
    """Somebody with two-factor login who is logged out."""
    visitor.sign_up()
    visitor.switch_on()
    visitor.post("/logout", seen="/account")
    return visitor


def test_password_alone_opens_nothing_and_no_step_can_be_left_out(customer: Visitor) -> None:
    answer = customer.log_in()

    assert answer.headers["location"].startswith(f"{customer.dastak.url}/v/")
    for path in ("/account", "/pay", "/two-factor"):
        assert customer.http.get(path).headers["location"] == "/login"
    assert not customer.inside()


def test_each_gain_of_trust_changes_the_cookie_and_ends_the_old_one(
    customer: Visitor, other: Visitor
) -> None:
    before = customer.cookie()
    customer.log_in()
    between = customer.cookie()
    customer.typed(customer.code())
    after = customer.cookie()

    assert len({before, between, after}) == 3
    assert customer.inside()
    for old in (before, between):
        other.http.cookies.set("bank", old)
        assert not other.inside()


def test_way_back_counts_after_the_right_code_and_once(customer: Visitor) -> None:
    customer.log_in()
    asked = customer.question()

    early = customer.back(asked["verification"], asked["state"])
    inside = customer.inside()
    customer.dastak.check(asked["verification"], customer.code())
    late = customer.back(asked["verification"], asked["state"])
    again = customer.back(asked["verification"], asked["state"])

    assert (early, inside) == ("/code", False)
    assert (late, customer.inside()) == ("/account", True)
    assert again == "/account"


def test_way_back_is_worth_nothing_without_what_this_session_knows(customer: Visitor, other: Visitor) -> None:
    customer.log_in()
    asked = customer.question()
    customer.dastak.check(asked["verification"], customer.code())

    forged = [
        customer.back(asked["verification"], ""),
        customer.back(asked["verification"], "guessed"),
        customer.back("", asked["state"]),
        other.back(asked["verification"], asked["state"]),
    ]

    assert forged == ["/code", "/code", "/code", "/account"]
    assert not customer.inside()
    assert not other.inside()


def test_code_counts_only_in_the_session_that_asked(customer: Visitor, other: Visitor) -> None:
    customer.log_in()
    code = customer.code()
    other.sign_up()
    other.post("/two-factor", number=other.to)

    stolen = other.typed(code)

    assert stolen.status_code == 422
    assert customer.typed(code).headers["location"] == "/account"


def test_code_of_one_number_proves_no_other_that_another_browser_wrote_down(
    visitor: Visitor, other: Visitor
) -> None:
    visitor.sign_up()
    other.name = visitor.name
    other.log_in()
    visitor.post("/two-factor", number=visitor.to)
    code = visitor.code()
    other.post("/two-factor", number=other.to)
    shown = visitor.http.get("/code").text

    stale = visitor.typed(code).headers["location"]
    inside = visitor.http.get("/account").text
    right = other.typed(other.code()).headers["location"]

    assert visitor.to in shown
    assert stale == "/account"
    assert "Switch on two-factor login" in inside
    assert right == "/account?done=enrol"


def test_what_a_keylogger_wrote_down_is_worth_nothing_afterwards(customer: Visitor, other: Visitor) -> None:
    customer.log_in()
    logged = customer.code()
    customer.typed(logged)

    other.post("/login", username=customer.name, password=PASSWORD)
    replayed = other.typed(logged)

    assert replayed.status_code == 422
    assert not other.inside()
    assert customer.code() != logged


def test_parallel_codes_pay_once(customer: Visitor) -> None:
    customer.log_in()
    customer.typed(customer.code())
    customer.post("/pay", payee="Ravi", amount="5000")
    form = {"form": customer.token("/code"), "do": "check", "code": customer.code()}

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: customer.http.post("/code", data=form), range(8)))

    assert {answer.headers.get("location", "").partition("?")[0] for answer in answers} == {"/account"}
    assert customer.http.get("/account").text.count("−₹5,000.00") == 1
    assert "₹20,000.00" in customer.http.get("/account").text


def test_payment_is_approved_by_no_voice(customer: Visitor) -> None:
    customer.log_in()
    customer.typed(customer.code())
    customer.post("/pay", payee="Ravi", amount="10")

    page = customer.http.get("/code").text
    answer = customer.post("/code", do="call")

    assert "Call me instead" not in page
    assert answer.status_code == 422


def test_form_cannot_change_what_the_code_was_made_for(customer: Visitor) -> None:
    customer.log_in()
    customer.typed(customer.code())
    customer.post("/pay", payee="Ravi", amount="10")

    customer.typed(customer.code(), amount="20000", payee="Mallory")

    account = customer.http.get("/account").text
    assert "−₹10.00" in account
    assert "Mallory" not in account


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
    ids=str,
)
def test_form_of_another_site_changes_nothing(customer: Visitor, headers: dict[str, str]) -> None:
    customer.log_in()
    customer.typed(customer.code())
    form = {"form": customer.token("/account")}

    refused = customer.http.post("/logout", data=form, headers=headers)

    assert refused.status_code == 403
    assert customer.inside()


@pytest.mark.parametrize("token", ["", "0" * 32, "ü"])
def test_form_without_its_hidden_field_changes_nothing(visitor: Visitor, token: str) -> None:
    visitor.http.get("/login")

    refused = visitor.http.post("/login", data={"form": token, "username": "a", "password": "b"})

    assert refused.status_code == 403


def test_nothing_changes_by_get(customer: Visitor) -> None:
    customer.log_in()
    customer.typed(customer.code())

    assert customer.http.get("/logout").status_code == 405
    assert customer.inside()


def test_unknown_name_and_wrong_password_look_the_same(customer: Visitor) -> None:
    token = customer.token("/login")
    form = {"form": token, "password": "not the password"}

    known, unknown = (
        customer.http.post("/login", data={**form, "username": name})
        for name in (customer.name, "x" * len(customer.name))
    )

    assert known.status_code == unknown.status_code == 422
    assert known.text.replace(customer.name, "") == unknown.text.replace("x" * len(customer.name), "")


def test_guessing_a_password_ends_soon_and_says_so(customer: Visitor) -> None:
    token = customer.token("/login")

    answers = [
        customer.http.post("/login", data={"form": token, "username": customer.name, "password": f"no {n}"})
        for n in range(11)
    ]
    right = customer.log_in()

    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert right.status_code == 429


def test_script_in_every_field_is_shown_as_text(customer: Visitor) -> None:
    pages = [customer.post("/login", username=SCRIPT, password=SCRIPT)]
    pages.append(customer.post("/sign-up", username=SCRIPT, password=SCRIPT, number=SCRIPT))
    customer.log_in()
    customer.typed(customer.code())
    pages.append(customer.post("/pay", payee=SCRIPT * 2, amount=SCRIPT))
    pages.append(customer.post("/pay", payee=SCRIPT, amount="1"))
    pages.append(customer.http.get("/code"))

    assert not any("<script" in page.text for page in pages)
    assert all("default-src 'none'" in page.headers["content-security-policy"] for page in pages)


@pytest.mark.parametrize("body", ["a=b&" * 100, "form=" + "x" * 10_000, "\xff\xfe", "form=%ff"])
def test_what_no_browser_sends_is_refused(visitor: Visitor, body: str) -> None:
    visitor.http.get("/login")

    assert visitor.http.post("/login", content=body.encode("latin-1")).status_code == 403


def test_file_of_the_bank_has_no_password_code_or_cookie(customer: Visitor, house: DastakProcess) -> None:
    customer.log_in()
    code = customer.code()
    file = house.data_dir / "bank.db"

    octets = file.read_bytes()

    assert file.stat().st_mode & 0o077 == 0
    for secret in (PASSWORD, customer.cookie(), house.api_key):
        assert secret.encode() not in octets
    with closing(sqlite3.connect(file)) as database:
        dump = "\n".join(database.iterdump())
    assert re.search(rf"\b{code}\b", dump) is None
    customer.typed(code)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_bank_ends_with_the_program_that_started_it(tmp_path: Path, number: int) -> None:
    house = DastakProcess(tmp_path / "data", bank=True)
    house.start()
    url = str(house.bank_url)
    try:
        assert httpx.get(f"{url}/login", trust_env=False).status_code == 200
    finally:
        house.kill() if number == signal.SIGKILL else house.stop()

    assert until(lambda: not answers(url))


def test_dev_leaves_the_bank_out_when_told_so(dastak: DastakProcess) -> None:
    assert dastak.bank_url is None
    assert not (dastak.data_dir / "bank.db").exists()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/login", trust_env=False).status_code > 0
    except httpx.TransportError:
        return False
