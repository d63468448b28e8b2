"""The Python client against the real program, as a customer's site uses it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import pyotp
import pytest

from dastak import sdk
from dastak.sdk import Dastak
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


@pytest.fixture
def client(dastak: DastakProcess) -> Iterator[Dastak]:
    with Dastak(dastak.url, dastak.api_key) as client:
        yield client


@pytest.fixture
def phones(dastak: DastakProcess) -> ApiClient:
    return ApiClient(dastak.url, None)


def another(code: str) -> str:
    return f"{(int(code) + 500_000) % 1_000_000:06d}"


def test_right_code_is_true_once(client: Dastak, phones: ApiClient, to: str) -> None:
    started = client.start(to, purpose="login", client_reference="asha")
    code = phones.next_text(to)["code"]

    wrong = client.check(started.id, another(code))
    right = client.check(started.id, code)
    again = client.check(started.id, code)

    assert (started.state, started.channel, started.client_reference) == ("pending", "sms", "asha")
    assert started.resend_at is not None
    assert (bool(wrong), wrong.reason, wrong.attempts_remaining, wrong.over) == (
        False,
        "wrong_code",
        4,
        False,
    )
    assert (bool(right), right.state, right.reason) == (True, "approved", None)
    assert (bool(again), again.reason, again.over) == (False, "consumed", True)
    assert client.get(started.id).state == "approved"
    assert client.timeline(started.id)[-1]["type"] == "approved"


def test_code_of_a_payment_is_good_for_that_payment_alone(client: Dastak, phones: ApiClient, to: str) -> None:
    paid = client.start(to, purpose="payment", amount="5000.00", payee="Ravi", domain="localhost")
    text = phones.next_text(to)
    right = client.check(paid.id, text["code"], amount="5000.00", payee="Ravi")
    changed = client.start(to, purpose="payment", amount="5000.00", payee="Ravi")
    code = phones.next_text(to)["code"]

    other = client.check(changed.id, code, amount="50000.00", payee="Ravi")
    afterwards = client.check(changed.id, code, amount="5000.00", payee="Ravi")

    assert "INR 5000.00" in text["text"]
    assert "Ravi" in text["text"]
    assert text["text"].splitlines()[-1] == f"@localhost #{text['code']}"
    assert right
    assert (bool(other), other.state, other.over) == (False, "canceled", True)
    assert (bool(afterwards), afterwards.reason) == (False, "canceled")


def test_resend_that_comes_too_early_says_how_long_to_wait(client: Dastak, to: str) -> None:
    started = client.start(to)

    with pytest.raises(sdk.RateLimited) as refused:
        client.resend(started.id)

    assert refused.value.code == "rate_limited"
    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 30


def test_canceled_verification_is_over(client: Dastak, phones: ApiClient, to: str) -> None:
    started = client.start(to)
    code = phones.next_text(to)["code"]

    canceled = client.cancel(started.id)

    assert canceled.state == "canceled"
    assert client.check(started.id, code).reason == "canceled"


def test_each_problem_is_an_error_of_its_kind_and_tells_no_secret(
    client: Dastak, dastak: DastakProcess, to: str
) -> None:
    with pytest.raises(sdk.InvalidRequest) as mistyped:
        client.start("+9198")
    with pytest.raises(sdk.InvalidRequest) as misspelt:
        client.start(to, chanel="sms")  # type: ignore[call-arg]
    with pytest.raises(sdk.NotFound):
        client.get("ver_" + 32 * "0")
    with Dastak(dastak.url, "dk_test_nobody") as stranger, pytest.raises(sdk.Unauthenticated) as keyless:
        stranger.start(to)

    assert (mistyped.value.code, mistyped.value.field) == ("invalid_msisdn", "to")
    assert misspelt.value.code == "invalid_request"
    assert "nobody" not in str(keyless.value)
    assert dastak.api_key not in repr(client)


def test_same_idempotency_key_starts_once(client: Dastak, to: str) -> None:
    first, again = (client.start(to, idempotency_key=f"sign-up-{to}") for _ in range(2))

    assert first == again


def test_factors_are_made_proved_listed_and_removed(client: Dastak, to: str) -> None:
    made = client.factors.create(to, label="my phone", account="asha")
    assert made.uri is not None
    theirs = pyotp.parse_uri(made.uri)

    code = theirs.now()
    proved = client.factors.prove(made.id, code)
    listed = client.factors.list(to)
    replayed = client.check(client.start(factor=made.id).id, code)
    removed = client.factors.remove(made.id)

    assert proved
    assert [(one.id, one.state, one.label) for one in listed] == [(made.id, "active", "my phone")]
    assert not replayed
    assert removed.state == "removed"
    assert client.factors.list(to) == ()
    assert made.secret not in repr(made)


def test_printed_list_and_a_counter_brought_into_step(client: Dastak, to: str) -> None:
    paper = client.factors.create(to, "hash_chain", codes=10)
    token = client.factors.create(to, "hotp")
    theirs = pyotp.parse_uri(token.uri or "")
    assert isinstance(theirs, pyotp.HOTP)

    asked = client.start(factor=paper.id)
    right = client.check(asked.id, paper.printed[0])
    synced = client.factors.resync(token.id, [theirs.at(40), theirs.at(41)])

    assert (asked.challenge or "").startswith("otp-sha1 9 ")
    assert right
    assert client.factors.get(paper.id).codes_left == 9
    assert synced.state == "active"


def test_code_page_is_made_and_its_outcome_is_that_of_the_code(
    client: Dastak, phones: ApiClient, to: str
) -> None:
    started = client.start(to, purpose="login")
    page = client.code_page(started.id, return_url="http://localhost:8000/back", state="s-1", language="hi")

    before = client.code_page_outcome(started.id)
    client.check(started.id, phones.next_text(to)["code"])
    after = client.code_page_outcome(started.id)

    assert "/v/" in page.url
    assert phones.get(page.url.partition("/v/")[1] + page.url.partition("/v/")[2]).status == 200
    assert page.expires_at > started.expires_at
    assert (bool(before), before.state, before.verification) == (False, "pending", started.id)
    assert (bool(after), after.state, after.to_changed) == (True, "approved", False)


def test_code_page_leads_back_to_the_services_own_hosts_alone(client: Dastak, to: str) -> None:
    started = client.start(to)

    with pytest.raises(sdk.InvalidRequest) as refused:
        client.code_page(started.id, return_url="https://evil.example/", state="s-1")

    assert refused.value.field == "return_url"


def test_one_client_serves_many_threads(client: Dastak, phones: ApiClient) -> None:
    numbers = [f"+91{next(FRESH)}" for _ in range(16)]

    def walk(to: str) -> bool:
        started = client.start(to)
        return bool(client.check(started.id, phones.next_text(to)["code"]))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(walk, numbers)) == [True] * 16


def request_on(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536)
    head, _, body = head.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve raw answers, one connection after another; an answer of nothing closes in the middle."""
    heads: list[bytes] = []
    connections: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        taken: socket.socket | None = None
        for answer in answers:
            if taken is None:
                taken, _ = listener.accept()
                connections.append(taken)
            heads.append(request_on(taken))
            if answer:
                taken.sendall(answer)
            else:
                taken.close()
                taken = None

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heads
        thread.join(10)
        for connection in connections:
            connection.close()


def answer(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %s\r\ncontent-length: %d\r\n%s\r\n" % (status, len(body), more)
    return head + body


APPROVED = answer(b'{"id":"ver_1","state":"approved","approved":true,"attempts_remaining":4}')


def test_connection_that_went_away_is_replaced_and_the_request_is_the_same() -> None:
    with answering(APPROVED, b"", APPROVED) as (url, heads), Dastak(url, "dk_test_1") as client:
        first = client.check("ver_1", "482913")
        second = client.check("ver_1", "482913")

    assert first
    assert second
    keys = [line for head in heads for line in head.split(b"\r\n") if line.startswith(b"idempotency-key")]
    assert len(keys) == 3
    assert keys[0] != keys[1] == keys[2]


def test_page_whose_address_was_lost_is_made_again() -> None:
    told = b'"expires_at":"2026-11-28T12:00:00Z"}'
    lost, made = answer(b'{"url":null,' + told), answer(b'{"url":"https://otp.example/v/2",' + told)
    with answering(APPROVED, b"", lost, made) as (url, heads), Dastak(url, "dk_test_1") as client:
        client.check("ver_1", "482913")
        page = client.code_page("ver_1", return_url="https://acme.example/back", state="s")

    assert page.url == "https://otp.example/v/2"
    assert [head.split(b" ")[0] for head in heads] == [b"POST"] * 4


def test_authenticator_whose_secret_was_lost_is_taken_away_and_made_again() -> None:
    shared = b'"kind":"totp","state":"pending","to_masked":"+9198******10","label":""'
    lost = answer(b'{"id":"fac_1",%s}' % shared)
    made = answer(b'{"id":"fac_2","secret":"GEZDGNBVGY3TQOJQ",%s}' % shared)
    with answering(APPROVED, b"", lost, lost, made) as (url, heads), Dastak(url, "dk_test_1") as client:
        client.check("ver_1", "482913")
        factor = client.factors.create("+919876543210")

    assert (factor.id, factor.secret) == ("fac_2", "GEZDGNBVGY3TQOJQ")
    assert heads[3].startswith(b"DELETE /v1/factors/fac_1 ")


@pytest.mark.parametrize(
    "said",
    [
        answer(b"<h1>Bad gateway</h1>", b"502 Bad Gateway"),
        answer(b"<h1>Welcome to our wireless network</h1>"),
        answer(b'{"approved":"true"}'),
        answer(b"[]", b"503 Service Unavailable", b"retry-after: 7\r\n"),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        answer(b"{" + b" " * 2_000_000),
    ],
    ids=["proxy", "portal", "other", "busy", "ssh", "endless"],
)
def test_what_is_no_dastak_is_unavailable_and_approves_nothing(said: bytes) -> None:
    with (
        answering(said) as (url, _),
        Dastak(url, "dk_test_1") as client,
        pytest.raises(sdk.Unavailable) as failed,
    ):
        client.check("ver_1", "482913")

    assert "482913" not in str(failed.value)
    assert failed.value.retry_after_s == (7 if b"503" in said else None)


def test_redirect_is_not_followed_so_that_the_key_stays_where_it_belongs() -> None:
    moved = answer(b"", b"302 Found", b"location: http://127.0.0.1:9/v1\r\n")
    with (
        answering(moved) as (url, _),
        Dastak(url, "dk_test_1") as client,
        pytest.raises(sdk.DastakError) as failed,
    ):
        client.start("+919876543210")

    assert failed.value.status == 302


def test_nobody_there_and_somebody_silent_are_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(sdk.Unavailable):
            Dastak(url, "dk_test_1", timeout_s=0.05).start("+919876543210")
    with pytest.raises(sdk.Unavailable):
        Dastak(url, "dk_test_1").start("+919876543210")


@pytest.mark.parametrize("url", ["otp.example.in", "ftp://otp.example.in", "https://", "https://a@b.example"])
def test_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Dastak(url, "dk_test_1")


@pytest.mark.parametrize("key", ["", "dk_test_1\r\nhost: evil", "schlüssel", "two words"])
def test_key_that_is_none_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="that is no key of Dastak"):
        Dastak("https://otp.example.in", key)


def test_folder_works_where_nothing_but_python_is(tmp_path: Path) -> None:
    copytree(Path(sdk.__file__).parent, tmp_path / "dastak_client")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import dastak_client; dastak_client.Dastak"

    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")
