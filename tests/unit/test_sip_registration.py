"""Our entry in a trunk's book: proved, kept fresh, shortened, refused without a hurry, taken back."""

import itertools

import pytest

from dastak.voice.sip.sip_digest import Credentials, DigestClient
from dastak.voice.sip.sip_message import Header, SipMessage, parse
from dastak.voice.sip.sip_registration import CHALLENGES_MAX, RETRY_S, Registered, Registrar, Registration
from tests.support import sip_samples
from tests.support.sip_peer import TRUNK

REGISTRAR = Registrar(uri="sip:trunk.example", address="sip:shop@trunk.example", expires_s=600)
ASK: Header = ("WWW-Authenticate", 'Digest realm="trunk.example", nonce="n1", algorithm=SHA-256, qop="auth"')


class Book:
    """A registration on a clock that is moved by hand."""

    def __init__(self) -> None:
        numbers = itertools.count()
        draw = lambda: f"tok{next(numbers)}"  # noqa: E731
        digest = DigestClient(Credentials("shop", "secret"), draw)
        self.now = 0.0
        self.entry = Registration(TRUNK, REGISTRAR, digest, draw, now=0.0)
        (self.asked,) = self.said()

    def said(self) -> list[SipMessage]:
        messages = [parse(packet.octets) for packet in self.entry.packets]
        self.entry.packets.clear()
        return messages

    def reply(self, status: int, *headers: Header) -> list[SipMessage]:
        self.entry.receive(parse(sip_samples.reply(self.asked, status, headers=headers)), self.now)
        said = self.said()
        self.asked = said[-1] if said else self.asked
        return said

    def wait(self, until: float) -> list[SipMessage]:
        said: list[SipMessage] = []
        while (deadline := self.entry.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.entry.tick(self.now)
            said += self.said()
        self.now = until
        self.asked = said[-1] if said else self.asked
        return said


def test_request_names_us_and_where_we_are() -> None:
    asked = Book().asked

    assert (asked.method, asked.uri, asked.cseq) == ("REGISTER", "sip:trunk.example", 1)
    assert asked.first("To") == "<sip:shop@trunk.example>"
    assert asked.first("From").startswith("<sip:shop@trunk.example>;tag=")
    assert asked.first("Contact") == "<sip:dastak@127.0.0.1:5070>"
    assert asked.first("Expires") == "600"


def test_challenge_is_proved_for_the_registrar() -> None:
    book = Book()

    (again,) = book.reply(401, ASK)
    book.reply(200)

    assert (again.cseq, again.call_id) == (2, book.asked.call_id)
    assert 'uri="sip:trunk.example"' in again.first("Authorization")
    assert book.entry.state is Registered.YES


@pytest.mark.parametrize(
    ("headers", "refreshed_at"),
    [
        ((), 300.0),
        ((("Expires", "100"),), 50.0),
        ((("Expires", "100"), ("Contact", "<sip:dastak@127.0.0.1:5070>;expires=60")), 30.0),
        (
            (
                ("Expires", "100"),
                ("Contact", "<sip:another@192.0.2.1>;expires=7, two words"),
            ),
            50.0,
        ),
        ((("Expires", "0"),), 5.0),
        ((("Expires", "9999999999"),), 43_200.0),
        ((("Expires", "soon"),), 300.0),
    ],
)
def test_entry_is_refreshed_in_half_of_what_was_granted(
    headers: tuple[Header, ...], refreshed_at: float
) -> None:
    book = Book()
    book.reply(200, *headers)

    assert book.wait(refreshed_at - 0.1) == []
    (refresh,) = book.wait(refreshed_at)
    assert (refresh.cseq, refresh.first("Expires")) == (2, "600")
    assert book.entry.state is Registered.YES


def test_trunk_that_wants_longer_entries_gets_them() -> None:
    book = Book()

    (again,) = book.reply(423, ("Min-Expires", "3600"))

    assert again.first("Expires") == "3600"


def test_wrong_password_is_not_tried_in_a_hurry() -> None:
    book = Book()

    for _ in range(CHALLENGES_MAX):
        assert len(book.reply(401, ASK)) == 1
    assert book.reply(401, ASK) == []

    assert (book.entry.state, book.entry.status) == (Registered.REFUSED, 401)
    assert book.wait(RETRY_S - 0.1) == []
    assert len(book.wait(RETRY_S)) == 1


def test_silent_registrar_is_asked_again_after_a_pause() -> None:
    book = Book()

    said = book.wait(32.0)

    assert {message.branch for message in said} == {book.asked.branch}
    assert book.entry.state is Registered.SILENT
    again = book.wait(32.0 + RETRY_S)
    assert [message.cseq for message in again] == [2]
    book.reply(200)
    assert book.entry.state is Registered.YES


def test_entry_is_taken_back() -> None:
    book = Book()
    book.reply(200)

    book.entry.leave(1.0)
    (book.asked,) = book.said()
    book.reply(200)

    assert book.asked.first("Expires") == "0"
    assert book.entry.state is Registered.GONE
    assert book.wait(10_000.0) == []


def test_nothing_is_taken_back_where_nothing_was_given() -> None:
    book = Book()
    book.reply(403)

    book.entry.leave(1.0)

    assert book.said() == []
    assert book.entry.state is Registered.GONE
    assert book.wait(10_000.0) == []


def test_answers_to_something_else_are_passed_over() -> None:
    book = Book()
    octets = sip_samples.reply(book.asked, 200)

    book.entry.receive(parse(octets.replace(book.asked.branch.encode(), b"z9hG4bKother")), 0.0)
    book.entry.receive(parse(sip_samples.ask(book.asked, "OPTIONS")), 0.0)

    assert book.entry.state is Registered.ASKING
