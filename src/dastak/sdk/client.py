"""The client: start a verification, check what was typed, and what a login needs around that.

1. Every POST has an Idempotency-Key, so that a request whose answer was lost can be sent again.
2. A wrong code is an answer, not an exception. Whatever was not granted for another reason is one.
3. The key and the codes stand in no `repr` and in no error.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Self, TypeVar, Unpack
from urllib.parse import quote, urlencode

from .answers import (
    Checked,
    CodePage,
    Factor,
    NewFactor,
    PageOutcome,
    Started,
    Verification,
    read_checked,
)
from .kept_connections import KeptConnections
from .refusals import Unavailable, refusal_of
from .start_options import StartOptions

Record = TypeVar("Record")

TIMEOUT_S: Final = 10.0

# The problems of a check that only say that this verification is over; any other is an error.
_CLOSED: Final = frozenset({"consumed", "exhausted", "locked", "expired", "canceled", "failed"})


class Dastak:
    """One service of yours at one Dastak; good for any number of threads.

    Args:
        url: Where it answers, such as `https://otp.example.in`.
        key: `dk_live_...` or `dk_test_...`; from a file or the environment, never from the code.
        service: Which of your services is meant when a start names none; else the key's own.
        timeout_s: For connecting, and for each wait in a request.

    Raises:
        ValueError: The address is none, or the key could not stand in a header.
    """

    def __init__(
        self, url: str, key: str, *, service: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        if not key.isascii() or not key.isprintable() or not key or " " in key:
            raise ValueError("that is no key of Dastak")
        self._url = url
        self._connections = KeptConnections(url, timeout_s=timeout_s)
        self._authorization = f"Bearer {key}"
        self._service = service
        self.factors: Final = Factors(self)

    def __repr__(self) -> str:
        return f"Dastak({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that lie idle; the next request opens one again."""
        self._connections.close()

    def start(
        self, to: str | None = None, *, idempotency_key: str | None = None, **options: Unpack[StartOptions]
    ) -> Started:
        """Make a code and bring it to a phone, or ask for one of a factor.

        Args:
            to: The number, `+919876543210`; may be left out with `factor`.
            idempotency_key: Yours, where a start shall happen once over crashes of your own program.
            options: See `StartOptions`.

        Raises:
            InvalidRequest: Mostly a number that no phone has; `field` says which.
            RateLimited: Wait `retry_after_s`.
            Refused: `reason` says why, such as `number_stopped`.
            Unavailable: Nobody answers.
        """
        said = {"to": to, "service": self._service, **options}
        started = _read(Started.read, self.post("/v1/verifications", said, idempotency_key))
        if options.get("match") and started.match_number is None:
            # The answer to a repeat has no number; a look at it does.
            return replace(started, match_number=self.get(started.id).match_number)
        return started

    def check(
        self, verification: str, code: str, *, amount: str | None = None, payee: str | None = None
    ) -> Checked:
        """Judge what the person typed; true once, for the right code.

        Args:
            verification: Its id, from the session of the browser that asked, never from the form.
            code: As typed or pasted.
            amount: As started, when the code is bound to a transaction: take it from what you will carry out.
            payee: As started.

        Raises:
            NotFound: There is no such verification.
            InvalidRequest: Nothing that could be a code was typed.
            RateLimited: Wait `retry_after_s`.
            Unavailable: Nobody answers.
        """
        path = f"{_path(verification)}/check"
        said = {"code": code, "amount": amount, "payee": payee}
        status, body, wait_s = self._ask("POST", path, said, str(uuid.uuid4()))
        problem = body.get("code")
        if status in (409, 410) and problem in _CLOSED:
            wait_s = body.get("retry_after_s", wait_s)
            return Checked(
                id=verification,
                approved=False,
                state=problem,
                attempts_remaining=0,
                reason=problem,
                retry_after_s=wait_s,
            )
        if status >= 400:
            raise refusal_of(status, body, wait_s)
        return _read(read_checked, body)

    def resend(
        self, verification: str, *, channel: str = "auto", idempotency_key: str | None = None
    ) -> Verification:
        """Bring the same code once more, by `sms`, by `voice`, or as the policy says.

        Raises:
            RateLimited: Too early; wait `retry_after_s`.
            Conflict: It is over.
        """
        return _read(
            Verification.read,
            self.post(f"{_path(verification)}/resend", {"channel": channel}, idempotency_key),
        )

    def cancel(self, verification: str) -> Verification:
        """Call it off; its code is good for nothing from now on. Raises: Conflict, NotFound."""
        return _read(Verification.read, self.post(f"{_path(verification)}/cancel", None))

    def get(self, verification: str) -> Verification:
        """Look at it. Raises: NotFound."""
        return _read(Verification.read, self.send("GET", _path(verification)))

    def timeline(self, verification: str) -> list[dict[str, Any]]:
        """Return all that happened to it, in order; each event has `type` and `at`. Raises: NotFound."""
        events = self.send("GET", f"{_path(verification)}/timeline").get("events")
        return events if isinstance(events, list) else []

    def code_page(
        self,
        verification: str,
        *,
        return_url: str,
        state: str,
        may_change_number: bool | None = None,
        language: str | None = None,
    ) -> CodePage:
        """Have the person type the code on the service's own page, which speaks thirteen languages.

        The browser comes back to `return_url` with `verification` and `state` in its query. That is a
        browser's word: `code_page_outcome` knows.

        Args:
            verification: Its id.
            return_url: Where the browser goes afterwards; by https, on one of the service's domains.
            state: Random, kept in the session: what comes back without it was not sent by you.
            may_change_number: Only where the purpose is `signup`.
            language: Of the page, `hi`; else the browser's.

        Raises:
            InvalidRequest: The address is none that the service may return to.
            Conflict: The verification is over.
        """
        said = {
            "return_url": return_url,
            "state": state,
            "may_change_number": may_change_number,
            "language": language,
        }
        body = self.post(f"{_path(verification)}/page", said)
        if body.get("url") is None:
            # The first answer was lost on the way; a page made again replaces that one.
            body = self.post(f"{_path(verification)}/page", said)
        return _read(CodePage.read, body)

    def code_page_outcome(self, verification: str) -> PageOutcome:
        """Return what became of the page that was made for a verification. Raises: NotFound."""
        return _read(PageOutcome.read, self.send("GET", f"{_path(verification)}/page"))

    def post(
        self, path: str, said: Mapping[str, Any] | None, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Send what this client has no method for; what is None stays away. Raises: DastakError."""
        return self.send("POST", path, said, idempotency_key or str(uuid.uuid4()))

    def send(
        self,
        method: str,
        path: str,
        said: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Send a request and return its JSON. Raises: DastakError."""
        status, body, wait_s = self._ask(method, path, said, idempotency_key)
        if status >= 300:
            raise refusal_of(status, body, wait_s)
        return body

    def _ask(
        self, method: str, path: str, said: Mapping[str, Any] | None, idempotency_key: str | None
    ) -> tuple[int, dict[str, Any], int | None]:
        headers = {"authorization": self._authorization, "accept": "application/json"}
        octets = None
        if method == "POST":
            given = {name: value for name, value in (said or {}).items() if value is not None}
            octets = json.dumps(given).encode() if said is not None else b""
            headers["content-type"] = "application/json"
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        return self._connections.ask(method, path, octets, headers)


class Factors:
    """Authenticators and printed lists of a number; `Dastak.factors`."""

    def __init__(self, dastak: Dastak) -> None:
        self._dastak = dastak

    def create(
        self,
        to: str,
        kind: str = "totp",
        *,
        label: str | None = None,
        account: str | None = None,
        secret: str | None = None,
        digits: int | None = None,
        codes: int | None = None,
        idempotency_key: str | None = None,
    ) -> NewFactor:
        """Make one; show its `qr_svg`, `secret` or `printed` now, and have it proved.

        Args:
            to: The number it belongs to.
            kind: `totp`, `hotp` or `hash_chain`.
            label: What its person calls it.
            account: What the authenticator shows it as; the number if absent.
            secret: Of an authenticator that exists already, in base32.
            digits: Of its codes.
            codes: How many a printed list has.
            idempotency_key: Yours; a repeat gets no secret.

        Raises:
            InvalidRequest: `field` says what is wrong.
            Conflict: The number has as many proved ones as it may have.
        """
        said = {
            "to": to,
            "kind": kind,
            "label": label,
            "account": account,
            "secret": secret,
            "digits": digits,
            "codes": codes,
        }
        made = _read(NewFactor.read, self._dastak.post("/v1/factors", said, idempotency_key))
        if idempotency_key is None and made.secret is None and not made.printed:
            # The first answer was lost on the way, and with it what is shown once: nobody can use that one.
            self.remove(made.id)
            return _read(NewFactor.read, self._dastak.post("/v1/factors", said))
        return made

    def prove(self, factor: str, code: str) -> Checked:
        """Judge its first code, after which it is `active`; any later one as well. Raises: DastakError."""
        return self._dastak.check(self._dastak.start(factor=factor).id, code)

    def list(self, to: str) -> "tuple[Factor, ...]":
        """Return those of a number, newest first. Raises: InvalidRequest."""
        body = self._dastak.send("GET", f"/v1/factors?{urlencode({'to': to})}")
        return _read(lambda body: tuple(Factor.read(one) for one in body["factors"]), body)

    def get(self, factor: str) -> Factor:
        """Look at one. Raises: NotFound."""
        return _read(Factor.read, self._dastak.send("GET", _factor_path(factor)))

    def resync(self, factor: str, codes: Sequence[str]) -> Factor:
        """Bring an authenticator into step by two or three codes in a row. Raises: InvalidRequest."""
        path = f"{_factor_path(factor)}/resync"
        return _read(Factor.read, self._dastak.post(path, {"codes": list(codes)}))

    def remove(self, factor: str) -> Factor:
        """Take it away, and its secret with it. Raises: NotFound."""
        return _read(Factor.read, self._dastak.send("DELETE", _factor_path(factor)))


def _read(reader: Callable[[dict[str, Any]], Record], body: dict[str, Any]) -> Record:
    """Read an answer; one that lacks what every Dastak says came from something else in between."""
    try:
        return reader(body)
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable("What answers at this address is no Dastak.", code="unreachable") from error


def _path(verification: str) -> str:
    return f"/v1/verifications/{quote(verification, safe='')}"


def _factor_path(factor: str) -> str:
    return f"/v1/factors/{quote(factor, safe='')}"
