"""A small sum for a browser to do, as ALTCHA (version 1) asks for it and takes its answer.

1. Nothing is kept of a challenge: its salt says until when and for which page it is good, and is signed.
2. The salt ends with `&`, so that no digit can be moved from the number into the time before it.
3. A challenge that comes back without a number is not solved; it proves only when it was given.

Source: ALTCHA, Proof-of-Work, version 1; RFC 2104 for the signatures.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

# What carries a challenge to a browser, and its answer back.
FIELD: Final = "altcha"
ALGORITHM: Final = "SHA-256"
# Half of these are tried on average. All of them took our script 0.6 s in V8 on a small server; a phone is a
# few times slower. A program in Python took 0.08 s, so that it is a brake and not a wall.
NUMBER_MAX: Final = 100_000
GOOD_FOR_S: Final = 1200
_CHARACTERS_MAX: Final = 1000
_SALT_OCTETS: Final = 12
_SIGNED_CHARACTERS: Final = 32


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser is asked, in the words of ALTCHA."""

    algorithm: str
    challenge: str
    maxnumber: int
    salt: str
    signature: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back; `number` is None when nobody looked for it. Other fields are not read."""

    algorithm: str
    challenge: str
    salt: str
    signature: str
    number: int | None = None


class Judged(NamedTuple):
    """What an answer proves: that the sum was done, or only since when it might have been."""

    salt: str
    solved: bool
    given_at_s: int


_ANSWER: Final = msgspec.json.Decoder(Answer)


def challenge(key: bytes, page: int, now_s: int, entropy: Callable[[int], bytes]) -> Challenge:
    """Make a challenge that is good for one page, for `GOOD_FOR_S` seconds.

    Args:
        key: Signs it.
        page: The number of the page.
        now_s: The present second since 1970.
        entropy: Returns that many random octets.
    """
    asked = f"{entropy(_SALT_OCTETS).hex()}?expires={now_s + GOOD_FOR_S}&page={page}"
    salt = f"{asked}&of={_sign_salt(key, asked)}&"
    number = int.from_bytes(entropy(8)) % (NUMBER_MAX + 1)
    digest = _digest(salt, number)
    return Challenge(
        algorithm=ALGORITHM,
        challenge=digest,
        maxnumber=NUMBER_MAX,
        salt=salt,
        signature=_sign(key, digest),
    )


def written(asked: Challenge | Answer) -> str:
    """Write what a form carries: JSON in base64, as ALTCHA's own fields do."""
    return b64encode(msgspec.json.encode(asked)).decode()


def judge(keys: Sequence[bytes], text: str, page: int, now_s: int) -> Judged | None:
    """Judge what a form brought back; None: it is not ours, of another page, over, or a wrong answer.

    Args:
        keys: Any of them may have signed it.
        text: What `written` wrote, with or without a number.
        page: The number of the page.
        now_s: The present second since 1970.
    """
    answer = _read(text)
    if answer is None:
        return None
    for key in keys:
        expires_s = _expiry(key, answer.salt, page)
        if expires_s is not None and now_s < expires_s:
            return _judged(key, answer, expires_s - GOOD_FOR_S)
    return None


def _judged(key: bytes, answer: Answer, given_at_s: int) -> Judged | None:
    if answer.number is None:
        return Judged(answer.salt, False, given_at_s)
    digest = _digest(answer.salt, answer.number)
    right = (
        0 <= answer.number <= NUMBER_MAX
        and _same(digest, answer.challenge)
        and _same(_sign(key, digest), answer.signature)
    )
    return Judged(answer.salt, True, given_at_s) if right else None


def _read(text: str) -> Answer | None:
    if len(text) > _CHARACTERS_MAX:
        return None
    try:
        answer = _ANSWER.decode(b64decode(text, validate=True))
    except (ValueError, msgspec.MsgspecError):
        return None
    return answer if answer.algorithm == ALGORITHM else None


def _expiry(key: bytes, salt: str, page: int) -> int | None:
    """Return until when a salt of ours for this page is good; None: it is none."""
    asked, _, rest = salt.partition("&of=")
    if not _same(rest, f"{_sign_salt(key, asked)}&"):
        return None
    expires, _, of_page = asked.partition("?expires=")[2].partition("&page=")
    return int(expires) if of_page == str(page) else None


def _digest(salt: str, number: int) -> str:
    return sha256(f"{salt}{number}".encode()).hexdigest()


def _sign(key: bytes, digest: str) -> str:
    return hmac.digest(key, digest.encode(), "sha256").hex()


def _sign_salt(key: bytes, asked: str) -> str:
    return hmac.digest(key, b"salt\0" + asked.encode(), "sha256").hex()[:_SIGNED_CHARACTERS]


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
