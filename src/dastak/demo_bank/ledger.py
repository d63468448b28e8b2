"""What the bank remembers, in one SQLite file: people, sessions, payments, and passwords that were wrong.

1. A session is known by the digest of the browser's secret; whoever reads the file cannot use it.
2. A question is taken away in the same transaction that acts on its answer, so that it is acted on once.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

OPENING_BALANCE_PAISE: Final = 25_000_00
# OWASP ASVS 7.3: a bank's idle bound, and half a day at most.
IDLE_S_MAX: Final = 15 * 60
SESSION_S_MAX: Final = 12 * 60 * 60
# Wrong passwords for one name from one address. A name alone is no bound: anybody could lock its owner out.
TRIES_MAX: Final = 10
TRIES_WITHIN_S: Final = 15 * 60
PAYMENTS_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account; the number counts once a code proved it (`two_factor`)."""

    n: int
    username: str
    password: str
    msisdn: str
    two_factor: bool
    balance_paise: int


@dataclass(frozen=True, slots=True)
class Question:
    """A code that this browser was asked for, and what it is for; kept here and never in a form.

    Attributes:
        kind: `login`, `enrol`, `app` or `pay`.
        person: Whose phone has the code.
        verification: Its id at Dastak.
        state: What the way back from Dastak's page must bring; nobody but this session's browser is told.
        page: Where that page is; empty where the code is typed on ours.
        app: Whether the code is that of an authenticator, and nothing was sent.
        payee: Of a payment.
        amount_paise: Of a payment.
        msisdn: Which number gets the code, and is proved by it.
    """

    kind: str
    person: int
    verification: str
    state: str = ""
    page: str = ""
    app: bool = False
    payee: str = ""
    amount_paise: int = 0
    msisdn: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """What one browser is allowed."""

    person: int | None
    question: Question | None


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that was sent."""

    payee: str
    amount_paise: int
    made_at: float


class Ledger:
    """The file; every call opens it for itself, so that any thread may.

    Args:
        file: Made when it is not there.
        now: Seconds since 1970.
    """

    def __init__(self, file: Path, *, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._now = now
        schema = files("dastak.demo_bank").joinpath("schema.sql").read_text(encoding="utf-8")
        with closing(sqlite3.connect(file)) as database:
            database.executescript(schema)
        file.chmod(0o600)

    def add_person(self, username: str, password: str, msisdn: str) -> Person | None:
        """Open an account; None when the name is taken."""
        said = (username, password, msisdn, OPENING_BALANCE_PAISE)
        try:
            with self._writing() as database:
                database.execute(
                    "INSERT INTO people (username, password, msisdn, balance_paise) VALUES (?, ?, ?, ?)", said
                )
        except sqlite3.IntegrityError:
            return None
        return self.person_named(username)

    def person_named(self, username: str) -> Person | None:
        """Return somebody by name."""
        return self._person("username = ?", username)

    def person(self, n: int) -> Person:
        """Return somebody who is there."""
        found = self._person("n = ?", n)
        assert found is not None
        return found

    def change_number(self, person: int, msisdn: str) -> None:
        """Write down another number, which is not proved and does not count until it is."""
        with self._writing() as database:
            database.execute("UPDATE people SET msisdn = ? WHERE n = ? AND two_factor = 0", (msisdn, person))

    def change_password(self, person: int, password: str) -> None:
        """Replace a hash that was made with older settings."""
        with self._writing() as database:
            database.execute("UPDATE people SET password = ? WHERE n = ?", (password, person))

    def open_session(self, secret: str, *, person: int | None, question: Question | None) -> None:
        """Let a browser have what it has earned, under a secret that nobody knew before."""
        with self._writing() as database:
            database.execute("DELETE FROM sessions WHERE made_at < ?", (self._now() - SESSION_S_MAX,))
            database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (_digest(secret), person, _written(question), self._now(), self._now()),
            )

    def session(self, secret: str) -> Session | None:
        """Return a session that is neither too old nor was left alone for too long."""
        now = self._now()
        with self._writing() as database:
            row = database.execute(
                "UPDATE sessions SET seen_at = ? WHERE digest = ? AND made_at > ? AND seen_at > ? "
                "RETURNING person, question",
                (now, _digest(secret), now - SESSION_S_MAX, now - IDLE_S_MAX),
            ).fetchone()
        return None if row is None else Session(row[0], _question(row[1]))

    def close_session(self, secret: str) -> None:
        """Forget a browser."""
        with self._writing() as database:
            database.execute("DELETE FROM sessions WHERE digest = ?", (_digest(secret),))

    def ask(self, secret: str, question: Question) -> None:
        """Write down what a code is asked for, instead of what was."""
        with self._writing() as database:
            database.execute(
                "UPDATE sessions SET question = ? WHERE digest = ?", (_written(question), _digest(secret))
            )

    def forget(self, secret: str, question: Question) -> None:
        """Ask no more for a code, unless another one is asked for by now."""
        with self._writing() as database:
            _take(database, secret, question)

    def answered(self, secret: str, question: Question) -> bool:
        """Act on the right code; False when that was done already, or the money or the number is gone."""
        with self._writing() as database:
            if not _take(database, secret, question):
                return False
            if question.kind == "enrol":
                return _prove(database, question)
            return question.kind != "pay" or _pay(database, question, self._now())

    def payments(self, person: int) -> list[Payment]:
        """Return what somebody paid, newest first."""
        rows = self._read(
            "SELECT payee, amount_paise, made_at FROM payments WHERE person = ? ORDER BY n DESC LIMIT ?",
            (person, PAYMENTS_SHOWN_MAX),
        )
        return [Payment(*row) for row in rows]

    def may_try(self, username: str, address: str) -> bool:
        """Return whether a password may be tried, and count the try."""
        since = self._now() - TRIES_WITHIN_S
        with self._writing() as database:
            database.execute("DELETE FROM tries WHERE made_at <= ?", (since,))
            (tries,) = database.execute(
                "SELECT count(*) FROM tries WHERE username = ? AND address = ?", (username, address)
            ).fetchone()
            if tries >= TRIES_MAX:
                return False
            database.execute("INSERT INTO tries VALUES (?, ?, ?)", (username, address, self._now()))
        return True

    def forget_tries(self, username: str, address: str) -> None:
        """Forget the wrong passwords of somebody who knew the right one."""
        with self._writing() as database:
            database.execute("DELETE FROM tries WHERE username = ? AND address = ?", (username, address))

    def _person(self, where: str, value: object) -> Person | None:
        columns = "n, username, password, msisdn, two_factor, balance_paise"
        rows = self._read(f"SELECT {columns} FROM people WHERE {where}", (value,))  # noqa: S608 - two, ours
        if not rows:
            return None
        n, username, password, msisdn, two_factor, balance = rows[0]
        return Person(n, username, password, msisdn, bool(two_factor), balance)

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._file)) as database:
            return database.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            with database:
                yield database


def _take(database: sqlite3.Connection, secret: str, question: Question) -> bool:
    taken = database.execute(
        "UPDATE sessions SET question = NULL WHERE digest = ? AND question = ?",
        (_digest(secret), _written(question)),
    )
    return taken.rowcount == 1


def _prove(database: sqlite3.Connection, question: Question) -> bool:
    """Count the number; another browser may have written down another one since the code was sent."""
    proved = database.execute(
        "UPDATE people SET two_factor = 1 WHERE n = ? AND msisdn = ?", (question.person, question.msisdn)
    )
    return proved.rowcount == 1


def _pay(database: sqlite3.Connection, question: Question, now: float) -> bool:
    taken = database.execute(
        "UPDATE people SET balance_paise = balance_paise - ? WHERE n = ? AND balance_paise >= ?",
        (question.amount_paise, question.person, question.amount_paise),
    )
    if taken.rowcount != 1:
        return False
    database.execute(
        "INSERT INTO payments (person, payee, amount_paise, verification, made_at) VALUES (?, ?, ?, ?, ?)",
        (question.person, question.payee, question.amount_paise, question.verification, now),
    )
    return True


def _digest(secret: str) -> bytes:
    """Return what the file keeps of a secret; 256 random bits need no slow hash."""
    return sha256(secret.encode()).digest()


def _written(question: Question | None) -> str | None:
    return None if question is None else json.dumps(asdict(question), sort_keys=True)


def _question(text: str | None) -> Question | None:
    return None if text is None else Question(**json.loads(text))
