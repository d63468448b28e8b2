"""The sites of the tutorials run as they stand on their pages, and people log in to them.

A block below a line `<!-- file: NAME -->` is that file, or the next part of it; below
`<!-- end of: NAME -->` it is added to what a generator wrote.
"""

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
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


def environment_of(dastak: DastakProcess, port: int, key: str | None = None) -> Mapping[str, str]:
    known = {"DASTAK_URL": dastak.url, "DASTAK_API_KEY": key or dastak.api_key, "PORT": str(port)}
    return clean_environment({**known, "PYTHONWARNINGS": "error"})


@contextmanager
def running(
    command: list[str], directory: Path, dastak: DastakProcess, port: int, key: str | None = None
) -> Iterator[httpx.Client]:
    """Run a site and give a browser without a screen that is on it."""
    log = directory / "log"
    with log.open("wb") as opened:
        site = subprocess.Popen(
            command, cwd=directory, env=environment_of(dastak, port, key), stdout=opened, stderr=opened
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
def plain_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("plain")
    write_files("two-factor-login.md", directory)
    return directory


@pytest.fixture(scope="module")
def plain(dastak: DastakProcess, plain_directory: Path) -> Iterator[httpx.Client]:
    with running([sys.executable, "my_site.py"], plain_directory, dastak, free_port()) as browser:
        yield browser


# A key that never was one: what a typing error in the environment comes to.
WRONG_KEY = "dk_test_" + "x" * 32

# What a locked number is told, by how many seconds it stays so.
TOLD = {
    None: "Too many wrong codes. Ask us to unlock your number.",
    60: "Too many wrong codes. Wait 1 minute.",
    61: "Too many wrong codes. Wait 2 minutes.",
}


def told_by(module: str, directory: Path, environment: Mapping[str, str]) -> list[str]:
    """Return what a site tells of each number that is locked as in `TOLD`."""
    typed = f"from {module} import locked\nfor wait_s in {list(TOLD)}: print(locked(wait_s))"
    done = subprocess.run(
        [sys.executable, "-c", typed],
        cwd=directory,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


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


def test_plain_site_tells_a_locked_number_to_wait(asha: Person, phones: ApiClient, to: str) -> None:
    asha.send("sign up", username="gita", password=PASSWORD, number=to)
    asha.send("check", code=phones.next_text(to)["code"])
    asha.send("log out")
    tried = []
    for _ in range(2):
        asha.send("log in", username="gita", password=PASSWORD)
        code = phones.next_text(to)["code"]
        tried += [asha.send("check", code=another(code)).text for _ in range(5)]
    asha.send("log in", username="gita", password=PASSWORD)

    right = asha.send("check", code=phones.next_text(to)["code"])

    assert "1 try left." in tried[3]
    assert "Begin again" in tried[4]
    assert re.search(r"Too many wrong codes\. Wait (59|60) minutes\.", right.text), right.text
    assert asha.head() == "My site"


def test_plain_site_says_how_long_a_number_is_locked(plain_directory: Path, dastak: DastakProcess) -> None:
    told = told_by("my_site", plain_directory, environment_of(dastak, 0))

    assert told == list(TOLD.values())


def test_plain_site_says_that_a_number_begins_with_its_country(asha: Person) -> None:
    refused = asha.send("sign up", username="hema", password=PASSWORD, number="98765 43210")

    assert "look at what you typed: a number begins with + and its country code." in refused.text


def test_plain_site_with_a_wrong_key_logs_why_and_not_the_key(dastak: DastakProcess, tmp_path: Path) -> None:
    write_files("two-factor-login.md", tmp_path)

    with running([sys.executable, "my_site.py"], tmp_path, dastak, free_port(), WRONG_KEY) as site:
        person = Person(site)
        with person.http:
            refused = person.send("sign up", username="asha", password=PASSWORD, number=f"+91{next(FRESH)}")

    assert "No code can be sent" in refused.text
    assert "unauthenticated: " in (tmp_path / "log").read_text()
    assert WRONG_KEY not in (tmp_path / "log").read_text()


@pytest.fixture(scope="module")
def django_directory(dastak: DastakProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("django")
    manage = [sys.executable, "manage.py"]

    def typed(*command: str) -> None:
        environment = environment_of(dastak, 0)
        subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)

    typed(sys.executable, "-m", "django", "startproject", "mysite", ".")
    typed(*manage, "startapp", "phones")
    write_files("two-factor-login-django.md", directory)
    typed(*manage, "makemigrations", "phones")
    typed(*manage, "migrate")
    return directory


def served_by(port: int) -> list[str]:
    return [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]


@pytest.fixture(scope="module")
def django(dastak: DastakProcess, django_directory: Path) -> Iterator[httpx.Client]:
    port = free_port()
    with running(served_by(port), django_directory, dastak, port) as browser:
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
    national = member.post("/two-factor/", number="98765 43210")

    assert "look at what you typed" in mistyped.text
    assert "look at what you typed: a number begins with + and its country code." in national.text


def test_django_site_tells_a_locked_number_to_wait(enrolled: Member, phones: ApiClient, to: str) -> None:
    tried = []
    for _ in range(2):
        enrolled.post("/login/", username=to, password=PASSWORD)
        code = phones.next_text(to)["code"]
        tried += [enrolled.post("/code/", code=another(code)).text for _ in range(5)]
    enrolled.post("/login/", username=to, password=PASSWORD)

    right = enrolled.post("/code/", code=phones.next_text(to)["code"])

    assert "1 try left." in tried[3]
    assert "That code does not count any more. Begin again." in tried[4]
    assert re.search(r"Too many wrong codes\. Wait (59|60) minutes\.", right.text), right.text
    assert right.url.path == "/login/"


def test_django_site_says_how_long_a_number_is_locked(django_directory: Path, dastak: DastakProcess) -> None:
    environment = {**environment_of(dastak, 0), "DJANGO_SETTINGS_MODULE": "mysite.settings"}

    assert told_by("phones.second_factor", django_directory, environment) == list(TOLD.values())


def test_django_site_says_where_the_code_went_and_sends_it_again(
    enrolled: Member, phones: ApiClient, to: str
) -> None:
    asked = enrolled.post("/login/", username=to, password=PASSWORD)
    code = phones.next_text(to)["code"]
    early = enrolled.post("/code/", resend="")
    inside = enrolled.post("/code/", code=code)

    assert f"the number that ends in {to[-4:]}." in asked.text
    assert '<button name="resend">' in asked.text
    assert (early.url.path, "That was too often. Wait" in early.text) == ("/code/", True)
    assert f"Welcome, {to}" in inside.text


@pytest.mark.parametrize(
    ("after", "where"), [("/two-factor/", "/two-factor/"), ("https://evil.example/", "/")]
)
def test_django_site_goes_on_to_where_its_login_was_asked_from(
    enrolled: Member, phones: ApiClient, to: str, after: str, where: str
) -> None:
    enrolled.post(f"/login/?next={after}", username=to, password=PASSWORD)

    inside = enrolled.post("/code/", code=phones.next_text(to)["code"])

    assert (inside.url.host, inside.url.path) == ("127.0.0.1", where)


def test_django_site_lets_nobody_into_an_account_closed_meanwhile(
    enrolled: Member, phones: ApiClient, to: str, django_directory: Path
) -> None:
    enrolled.post("/login/", username=to, password=PASSWORD)
    with closing(sqlite3.connect(django_directory / "db.sqlite3")) as database, database:
        closed = database.execute("UPDATE auth_user SET is_active = 0 WHERE username = ?", (to,))

    late = enrolled.post("/code/", code=phones.next_text(to)["code"])

    assert closed.rowcount == 1
    assert (late.status_code, late.url.path) == (200, "/login/")
    assert "This account was closed." in late.text


def test_django_site_names_no_sign_up_to_whoever_switches_it_on(
    member: Member, phones: ApiClient, to: str
) -> None:
    member.post("/sign-up/", username=to, password1=PASSWORD, password2=PASSWORD)

    member.post("/two-factor/", number=to)

    assert "verification code" in phones.next_text(to)["text"]


def test_django_site_with_a_wrong_key_logs_why_and_not_the_key(
    dastak: DastakProcess, django_directory: Path, tmp_path: Path
) -> None:
    port = free_port()
    shutil.copytree(django_directory, tmp_path / "site")

    with running(served_by(port), tmp_path / "site", dastak, port, WRONG_KEY) as site:
        member = Member(site)
        with member.http:
            member.post("/sign-up/", username="asha", password1=PASSWORD, password2=PASSWORD)
            refused = member.post("/two-factor/", number=f"+91{next(FRESH)}")

    log = (tmp_path / "site" / "log").read_text()
    assert "No code can be sent" in refused.text
    assert "Dastak: unauthenticated: " in log
    assert WRONG_KEY not in log


def test_client_that_the_django_page_has_copied_needs_nothing_else(tmp_path: Path) -> None:
    page = (TUTORIALS / "two-factor-login-django.md").read_text(encoding="utf-8")
    (copied,) = re.findall(r"type `(mkdir dastak && [^`]+)`", page)
    (tmp_path / "dastak").symlink_to(TUTORIALS.parents[1])
    (tmp_path / "my-site").mkdir()

    # -S: of all that is installed, nothing is found.
    subprocess.run(
        ["bash", "-c", f'{copied} && "$0" -S -c "from dastak.sdk import Dastak"', sys.executable],
        cwd=tmp_path / "my-site",
        env=clean_environment(),
        check=True,
    )
