"""The sites of the tutorials run as they stand on their pages, and people log in to them.

A block below a line `<!-- file: NAME -->` is that file, or the next part of it; below
`<!-- end of: NAME -->` it is added to what a generator wrote.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.patience import until
from tests.support.program import clean_environment

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorial"
FILE = re.compile(r"^<!-- (file|end of): (\S+) -->\n```\w+[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PASSWORD = "blue horses swim at night"


def write_files(page: str, directory: Path) -> None:
    """Write what the page has its reader write."""
    begun = set()
    for kind, name, text in FILE.findall((TUTORIALS / page).read_text(encoding="utf-8")):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        goes_on = kind == "end of" or name in begun
        with file.open("a" if goes_on else "w", encoding="utf-8") as opened:
            opened.write(("\n\n" if goes_on else "") + text)
        begun.add(name)


def environment_of(dastak: DastakProcess, port: int) -> Mapping[str, str]:
    known = {"DASTAK_URL": dastak.url, "DASTAK_API_KEY": dastak.api_key, "PORT": str(port)}
    return clean_environment({**known, "PYTHONWARNINGS": "error"})


@contextmanager
def running(command: list[str], directory: Path, dastak: DastakProcess, port: int) -> Iterator[httpx.Client]:
    """Run a site and give a browser without a screen that is on it."""
    log = directory / "log"
    with log.open("wb") as opened:
        site = subprocess.Popen(
            command, cwd=directory, env=environment_of(dastak, port), stdout=opened, stderr=opened
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as browser:
            until(lambda: answers(browser) or site.poll() is not None)
            assert site.poll() is None, log.read_text()
            yield browser
    finally:
        site.kill()
        site.wait()
    assert "Traceback" not in log.read_text()


def answers(browser: httpx.Client) -> bool:
    try:
        return browser.get("/").status_code > 0
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    """Run a program of its own, for the number of the pages is that of many others."""
    with DastakProcess(tmp_path_factory.mktemp("dastak") / "data") as process:
        yield process


def number_of(page: str) -> str:
    """Return the number that a page has its reader type at its end, as it is written there."""
    (said,) = re.findall(r"with `(\+91 [\d -]+)`", (TUTORIALS / page).read_text(encoding="utf-8"))
    assert isinstance(said, str)
    return said


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


@pytest.fixture
def phones(dastak: DastakProcess) -> ApiClient:
    return ApiClient(dastak.url, None)


@pytest.fixture(scope="module")
def plain(dastak: DastakProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("plain")
    write_files("two-factor-login.md", directory)
    with running([sys.executable, "site.py"], directory, dastak, free_port()) as browser:
        yield browser


class Person:
    """Somebody at the plain site, in a browser of their own."""

    def __init__(self, site: httpx.Client) -> None:
        self.http = httpx.Client(base_url=site.base_url, trust_env=False)

    def send(self, do: str, **fields: str) -> httpx.Response:
        token = re.search(r'name="form" value="([^"]+)"', self.http.get("/").text)
        assert token is not None
        return self.http.post("/", data={"form": token[1], "do": do, **fields})

    def head(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.http.get("/").text)
        assert found is not None
        return found[1]


@pytest.fixture
def asha(plain: httpx.Client) -> Iterator[Person]:
    person = Person(plain)
    with person.http:
        yield person


@pytest.fixture
def stranger(plain: httpx.Client) -> Iterator[Person]:
    person = Person(plain)
    with person.http:
        yield person


def another(code: str) -> str:
    return f"{(int(code) + 500_000) % 1_000_000:06d}"


def test_plain_site_gives_a_name_that_two_sign_up_for_to_the_first_who_proves_a_number(
    asha: Person, stranger: Person, phones: ApiClient, to: str
) -> None:
    other = f"+91{next(FRESH)}"
    stranger.send("sign up", username="twice", password="another long password", number=other)
    asha.send("sign up", username="twice", password=PASSWORD, number=to)
    asha.send("check", code=phones.next_text(to)["code"])
    late = stranger.send("check", code=phones.next_text(other)["code"])

    assert asha.head() == "Welcome, twice"
    assert "taken" in late.text
    assert stranger.head() == "My site"


def test_plain_site_takes_the_number_as_its_page_writes_it(asha: Person, phones: ApiClient) -> None:
    said = number_of("two-factor-login.md")

    asked = asha.send("sign up", username="farah", password=PASSWORD, number=said)
    asha.send("check", code=phones.next_text(said.replace(" ", ""))["code"])

    assert asked.status_code == 303, asked.text
    assert asha.head() == "Welcome, farah"


def test_plain_site_lets_in_by_password_and_code(asha: Person, phones: ApiClient, to: str) -> None:
    asha.send("sign up", username="asha", password=PASSWORD, number=to)
    asked = asha.head()
    asha.send("check", code=phones.next_text(to)["code"])
    signed_up = asha.head()
    asha.send("log out")
    left = asha.head()

    wrong = asha.send("log in", username="asha", password="not it")
    asha.send("log in", username="asha", password=PASSWORD)
    between = asha.head()
    code = phones.next_text(to)["code"]
    mistyped = asha.send("check", code=another(code))
    before = asha.http.cookies["site"]
    asha.send("check", code=code)

    assert (asked, signed_up, left) == ("Type the code from the message", "Welcome, asha", "My site")
    assert (wrong.status_code, "not correct" in wrong.text) == (422, True)
    assert between == "Type the code from the message"
    assert "tries left" in mistyped.text
    assert asha.head() == "Welcome, asha"
    assert asha.http.cookies["site"] != before


def test_code_of_the_plain_site_counts_once_and_only_where_it_was_asked_for(
    asha: Person, stranger: Person, phones: ApiClient, to: str
) -> None:
    asha.send("sign up", username="beena", password=PASSWORD, number=to)
    code = phones.next_text(to)["code"]
    stranger.send("sign up", username="mallory", password=PASSWORD, number=f"+91{next(FRESH)}")

    stolen = stranger.send("check", code=code)
    asha.send("check", code=code)

    assert "That is not the code" in stolen.text
    assert asha.head() == "Welcome, beena"
    assert stranger.head() == "Type the code from the message"


def test_plain_site_takes_no_forged_form_and_tells_what_was_refused(
    asha: Person, to: str, phones: ApiClient
) -> None:
    asha.http.get("/")

    forged = asha.http.post("/", data={"do": "log out", "form": "x"})
    mistyped = asha.send("sign up", username="chitra", password=PASSWORD, number="12")
    script = asha.send("sign up", username="<script>", password=PASSWORD, number=to)
    early = asha.send("send again")
    asha.send("check", code=phones.next_text(to)["code"])

    assert forged.status_code == 403
    assert "look at what you typed" in mistyped.text
    assert script.status_code == 303
    assert "Too often. Wait" in early.text
    assert asha.head() == "Welcome, &lt;script&gt;"


@pytest.fixture(scope="module")
def django(dastak: DastakProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("django")
    port = free_port()
    manage = [sys.executable, "manage.py"]

    def typed(*command: str) -> None:
        environment = environment_of(dastak, port)
        subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)

    typed(sys.executable, "-m", "django", "startproject", "mysite", ".")
    typed(*manage, "startapp", "phones")
    write_files("two-factor-login-django.md", directory)
    typed(*manage, "makemigrations", "phones")
    typed(*manage, "migrate")
    with running(
        [*manage, "runserver", "--noreload", f"127.0.0.1:{port}"], directory, dastak, port
    ) as browser:
        yield browser


class Member:
    """Somebody at the Django site, in a browser of their own that follows redirects."""

    def __init__(self, site: httpx.Client) -> None:
        self.http = httpx.Client(base_url=site.base_url, trust_env=False, follow_redirects=True)

    def post(self, path: str, *, seen: str | None = None, **fields: str) -> httpx.Response:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.http.get(seen or path).text)
        assert found is not None, path
        return self.http.post(path, data={"csrfmiddlewaretoken": found[1], **fields})


@pytest.fixture
def member(django: httpx.Client) -> Iterator[Member]:
    member = Member(django)
    with member.http:
        yield member


@pytest.fixture
def enrolled(member: Member, phones: ApiClient, to: str) -> Member:
    """Somebody who signed up, switched two-factor login on and logged out; the name is the number."""
    member.post("/sign-up/", username=to, password1=PASSWORD, password2=PASSWORD)
    member.post("/two-factor/", number=to)
    on = member.post("/code/", code=phones.next_text(to)["code"])
    member.post("/logout/", seen="/")

    assert "Two-factor login is on" in on.text
    return member


def test_django_site_lets_in_by_password_and_code(enrolled: Member, phones: ApiClient, to: str) -> None:
    between = enrolled.post("/login/", username=to, password=PASSWORD)
    home = enrolled.http.get("/")
    admin = enrolled.http.get("/admin/")
    before = enrolled.http.cookies["sessionid"]
    code = phones.next_text(to)["code"]
    wrong = enrolled.post("/code/", code=another(code))
    inside = enrolled.post("/code/", code=code)

    assert between.url.path == "/code/"
    assert (home.url.path, admin.url.path) == ("/login/", "/login/")
    assert "That is not the code. 4 tries left" in wrong.text
    assert f"Welcome, {to}" in inside.text
    assert enrolled.http.cookies["sessionid"] != before


def test_django_site_takes_the_number_as_its_page_writes_it(member: Member, phones: ApiClient) -> None:
    said = number_of("two-factor-login-django.md")
    member.post("/sign-up/", username="farah", password1=PASSWORD, password2=PASSWORD)

    asked = member.post("/two-factor/", number=said)
    on = member.post("/code/", code=phones.next_text(said.replace(" ", ""))["code"])

    assert asked.url.path == "/code/", asked.text
    assert "Two-factor login is on" in on.text


def test_django_site_asks_again_after_too_many_wrong_codes(
    enrolled: Member, phones: ApiClient, to: str
) -> None:
    enrolled.post("/login/", username=to, password=PASSWORD)
    code = phones.next_text(to)["code"]

    pages = [enrolled.post("/code/", code=another(code)).url.path for _ in range(5)]

    assert pages == ["/code/"] * 4 + ["/login/"]
    assert enrolled.http.get("/code/").url.path == "/login/"


def test_number_that_counts_is_not_changed_from_an_open_browser(
    enrolled: Member, phones: ApiClient, to: str
) -> None:
    enrolled.post("/login/", username=to, password=PASSWORD)
    enrolled.post("/code/", code=phones.next_text(to)["code"])

    changed = enrolled.post("/two-factor/", number="+919876543210")

    assert changed.url.path == "/"


def test_django_site_tells_what_was_refused(member: Member, to: str) -> None:
    member.post("/sign-up/", username=to, password1=PASSWORD, password2=PASSWORD)

    mistyped = member.post("/two-factor/", number="12")

    assert "look at what you typed" in mistyped.text
