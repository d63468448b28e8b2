"""What the service answers, as records: read leniently, for a newer service says more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One question to one person: do you hold this number?

    Attributes:
        id: Keep it in the session of the browser that asked, and nowhere else.
        state: `pending`, `approved`, `exhausted`, `expired`, `canceled` or `failed`.
        channel: How the code reaches its person: `sms`, `voice`, `totp`, `hotp` or `hash_chain`.
        to_masked: The number with stars; show no more than its last digits to a stranger.
        resend_at: When the code may be sent once more; None when it may not.
        match_number: What the person types into the phone, where numbers are matched.
    """

    id: str
    state: str
    channel: str
    to_masked: str
    expires_at: datetime
    resend_at: datetime | None
    attempts_remaining: int
    sends: int
    match_number: str | None
    client_reference: str | None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Verification":
        """Read an answer."""
        return cls(**_verification(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Verification):
    """A verification just started.

    Attributes:
        segments: How many the text is billed as; 0 when none is sent.
        challenge: What to ask somebody with a printed list for.
    """

    segments: int
    challenge: str | None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Started":
        """Read an answer."""
        return cls(**_verification(body), segments=body["segments"], challenge=body.get("challenge"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check came to. It is true exactly when the code was right: `if dastak.check(...)` does not lie.

    Attributes:
        approved: Once for each verification, and never again.
        state: As of the verification; where it is over, the reason.
        attempts_remaining: 0 where it is over.
        reason: Why not: `wrong_code`, `consumed`, `exhausted`, `locked`, `expired`, `canceled` and others.
        retry_after_s: How long a locked number stays locked.
    """

    id: str
    approved: bool
    state: str
    attempts_remaining: int
    reason: str | None
    retry_after_s: int | None = None

    def __bool__(self) -> bool:
        return self.approved

    @property
    def over(self) -> bool:
        """Whether no further code can be right: start again."""
        return not self.approved and (self.state != "pending" or self.attempts_remaining == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePage:
    """The page of the service on which the person types the code.

    Attributes:
        url: Send the browser there; the first that opens it has it.
    """

    url: str
    expires_at: datetime

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "CodePage":
        """Read an answer; one to a repeat has no address, and is no page. Raises: TypeError."""
        if not isinstance(body["url"], str):
            raise TypeError("the answer to a repeated request has no address")
        return cls(url=body["url"], expires_at=datetime.fromisoformat(body["expires_at"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOutcome:
    """What became of a code page. It is true when the code was right, and stays so: act on it once.

    Attributes:
        verification: What it asks for now: another one where the first was too old, or the number is another.
        state: Of that one.
        to_changed: Whether the person took another number, where that was allowed.
    """

    verification: str
    state: str
    to_masked: str
    to_changed: bool

    def __bool__(self) -> bool:
        return self.state == "approved"

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "PageOutcome":
        """Read an answer."""
        return cls(
            verification=body["verification"],
            state=body["state"],
            to_masked=body["to_masked"],
            to_changed=body["to_changed"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """An authenticator or a printed list of a number.

    Attributes:
        kind: `totp`, `hotp` or `hash_chain`.
        state: `pending` until its first code was right, then `active`.
        codes_left: Of a printed list.
    """

    id: str
    kind: str
    state: str
    to_masked: str
    label: str
    codes_left: int | None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Factor":
        """Read an answer."""
        return cls(**_factor(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFactor(Factor):
    """A new factor, with what its person must see now: it is shown this once.

    Attributes:
        secret: In base32, to be typed; None in the answer to a repeat.
        uri: `otpauth:` link of it.
        qr_svg: The link as a QR code.
        printed: The codes of a list, in the order in which they are asked for; print `codes` - 1 - i beside
            `printed[i]`, for that is the number in a `challenge`.
    """

    secret: str | None
    uri: str | None
    qr_svg: str | None
    printed: tuple[str, ...]

    def __repr__(self) -> str:
        return f"NewFactor(id={self.id!r}, kind={self.kind!r})"

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "NewFactor":
        """Read an answer."""
        return cls(
            **_factor(body),
            secret=body.get("secret"),
            uri=body.get("uri"),
            qr_svg=body.get("qr_svg"),
            printed=tuple(body.get("printed") or ()),
        )


def read_checked(body: Mapping[str, Any]) -> Checked:
    """Read the answer to a check of a verification that is open."""
    return Checked(
        id=body["id"],
        approved=body["approved"] is True,
        state=body["state"],
        attempts_remaining=body["attempts_remaining"],
        reason=body.get("reason"),
    )


def _verification(body: Mapping[str, Any]) -> dict[str, Any]:
    resend_at = body.get("resend_at")
    return {
        "id": body["id"],
        "state": body["state"],
        "channel": body["channel"],
        "to_masked": body["to_masked"],
        "expires_at": datetime.fromisoformat(body["expires_at"]),
        "resend_at": None if resend_at is None else datetime.fromisoformat(resend_at),
        "attempts_remaining": body["attempts_remaining"],
        "sends": body["sends"],
        "match_number": body.get("match_number"),
        "client_reference": body.get("client_reference"),
    }


def _factor(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": body["id"],
        "kind": body["kind"],
        "state": body["state"],
        "to_masked": body["to_masked"],
        "label": body["label"],
        "codes_left": body.get("codes_left"),
    }
