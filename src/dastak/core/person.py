"""A person who signs in to a service: a name, a password, and what else proves who it is.

1. In our own directory a name is one person's, however it is typed: `Asha`, `asha` and full-width letters are
   the same. Where a customer's own system knows the names, it says which spellings are the same.
2. A second factor is asked for by its own id and never by its number, for two people may share a phone.
3. The number of a person proves nothing until its code was typed.
"""

import hmac
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NewType

import msgspec

from dastak.core.codes import SYMBOLS, Alphabet, KeyRing
from dastak.core.errors import InvalidRequest, Refused
from dastak.core.msisdn import Msisdn
from dastak.core.policy import FACTORS, Channel
from dastak.core.tenant import Mode

PersonId = NewType("PersonId", bytes)

PERSON_ID_OCTETS: Final = 16
NAME_CHARACTERS_MIN: Final = 3
NAME_CHARACTERS_MAX: Final = 64
_NAME_MARKS: Final = "._-@+"
_EXACT: Final = "exact:"
assert len(_EXACT) + 2 * 32 > NAME_CHARACTERS_MAX + 1, "it is longer than what `name_key` returns"
# NIST SP 800-63B-4, 3.1.1.2 asks for eight beside a second factor, and for room up to 64 at least.
PASSWORD_CHARACTERS_MIN: Final = 8
PASSWORD_CHARACTERS_MAX: Final = 256

RECOVERY_CODES: Final = 10
# Ten of 31 symbols are 49.5 bits: as good as a password nobody chose.
RECOVERY_CHARACTERS: Final = 10
_RECOVERY_DOMAIN: Final = b"dastak/recovery/1\x00"


class Owned(msgspec.Struct, frozen=True):
    """An authenticator or a printed list of a person: its kind, and its id in hexadecimal digits."""

    kind: Channel
    factor: str


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One person of one service.

    Attributes:
        id: 16 random octets.
        mode: Where its codes go; who was made in test mode is nobody in live mode.
        username: As its person typed it.
        password: As argon2 writes it down; empty where the customer's own system knows it.
        password_n: Which of its passwords that is, from 0; hashed anew it is the same one.
        msisdn: The number of its person; texts and calls go there once it is proved.
        owned: What makes codes by itself; at most one of each kind, each proved by a code.
        prefers: What it wants to be asked for first.
        blocked: An operator shut it out.
        tenant: Of an operator: the one tenant it looks after; None is all.
    """

    id: PersonId
    service: int
    mode: Mode
    username: str
    created_at: datetime
    password: str = ""
    password_n: int = 0
    msisdn: Msisdn | None = None
    proved_at: datetime | None = None
    owned: tuple[Owned, ...] = ()
    prefers: Channel | None = None
    blocked: bool = False
    tenant: int | None = None


def check_name(text: str) -> str:
    """Return a username if it may be used.

    Raises:
        InvalidRequest: Its length, or a character that is neither a letter nor a digit nor one of few marks.
    """
    name = unicodedata.normalize("NFC", text.strip())
    if not NAME_CHARACTERS_MIN <= len(name) <= NAME_CHARACTERS_MAX or not all(map(_in_name, name)):
        raise InvalidRequest(
            f"A username has {NAME_CHARACTERS_MIN} to {NAME_CHARACTERS_MAX} letters, digits and . _ - @ +.",
            field="username",
        )
    return name


def name_key(text: str) -> str:
    """Return what two spellings of one username have in common; any text has one, used or not.

    It is cut where no name that may be used goes on, and has no NUL, which PostgreSQL keeps in no text.

    Source: RFC 8265, section 3.3.3, with the compatible forms of letters taken as one.
    """
    folded = unicodedata.normalize("NFKC", text.replace("\0", "").strip()).casefold()
    return unicodedata.normalize("NFKC", folded)[: NAME_CHARACTERS_MAX + 1]


def exact_key(text: str) -> str:
    """Return what one spelling of a username has in common with no other, and with no `name_key`."""
    return _EXACT + sha256(text.strip().encode()).hexdigest()


def read_password(text: str) -> str:
    """Return a password as it is hashed: every keyboard's spelling of one letter is the same.

    Source: RFC 8265, section 4.2.
    """
    return unicodedata.normalize("NFC", text)


def ways(person: Person, allowed: Sequence[Channel]) -> tuple[Channel, ...]:
    """Return by what a person can prove itself beside the password, what is asked for first coming first.

    Args:
        person: With its number and what it owns.
        allowed: What the service allows, in its order.
    """
    has = {one.kind for one in person.owned}
    if person.msisdn is not None and person.proved_at is not None:
        has |= {Channel.SMS, Channel.VOICE}
    found = [channel for channel in allowed if channel in has]
    found.sort(key=lambda channel: channel is not person.prefers)
    return tuple(found)


def owned(person: Person, kind: Channel) -> str | None:
    """Return the id of what a person owns of a kind, in hexadecimal digits."""
    return next((one.factor for one in person.owned if one.kind is kind), None)


def with_password(person: Person, *, kept: str) -> Person:
    """Give a person another password, as argon2 writes it down."""
    return msgspec.structs.replace(person, password=kept, password_n=person.password_n + 1)


def with_owned(person: Person, kind: Channel, factor: str) -> Person:
    """Give a person what makes codes by itself, in place of what it had of that kind."""
    assert kind in FACTORS
    kept = tuple(one for one in person.owned if one.kind is not kind)
    return msgspec.structs.replace(person, owned=(*kept, Owned(kind, factor)))


def without_owned(person: Person, kind: Channel, allowed: Sequence[Channel], *, required: bool) -> Person:
    """Take from a person what makes codes by itself.

    Args:
        person: With its number and what it owns.
        kind: What is taken away.
        allowed: What the service allows.
        required: Whether the service wants a second factor of everybody.

    Raises:
        Refused: It is the last one that is wanted; or it is the number, which is changed and not taken away.
    """
    if kind not in FACTORS:
        raise Refused("A number is changed, and not taken away.", reason="no_factor")
    if required and ways(person, allowed) == (kind,):
        raise Refused("The last second factor stays.", reason="last_factor")
    return msgspec.structs.replace(person, owned=tuple(one for one in person.owned if one.kind is not kind))


def with_number(
    person: Person, msisdn: Msisdn, *, proved_at: datetime, allowed: Sequence[Channel], required: bool
) -> Person:
    """Give a person a number that was proved.

    What makes codes by itself is filed under the number it was made for, which may soon be somebody else's;
    with another number it is taken away.

    Args:
        person: With its number and what it owns.
        msisdn: The number.
        proved_at: When its code was typed.
        allowed: What the service allows.
        required: Whether the service wants a second factor of everybody.

    Raises:
        Refused: That would take the last one that is wanted, and the number is none itself.
    """
    kept = person.owned if person.msisdn in (None, msisdn) else ()
    moved = msgspec.structs.replace(person, msisdn=msisdn, proved_at=proved_at, owned=kept)
    if required and ways(person, allowed) and not ways(moved, allowed):
        raise Refused("The last second factor stays, and so does its number.", reason="last_factor")
    return moved


def recovery_codes(random: bytes) -> tuple[str, ...]:
    """Make the recovery codes of a person: `XXXXX-XXXXX`, evenly from an alphabet nobody misreads.

    Args:
        random: At least `RECOVERY_OCTETS` random octets.
    """
    symbols = SYMBOLS[Alphabet.ALPHANUMERIC]
    even = [symbols[octet % len(symbols)] for octet in random if octet < 256 - 256 % len(symbols)]
    words = ["".join(even[n : n + RECOVERY_CHARACTERS]) for n in range(0, len(even), RECOVERY_CHARACTERS)]
    half = RECOVERY_CHARACTERS // 2
    return tuple(f"{word[:half]}-{word[half:]}" for word in words[:RECOVERY_CODES])


# Eight of 256 octets are dropped; so many are always enough but once in 10^30.
RECOVERY_OCTETS: Final = RECOVERY_CODES * RECOVERY_CHARACTERS * 2


def recovery_digests(ring: KeyRing, person: PersonId, typed: str) -> tuple[bytes, ...]:
    """Return what the database may keep of a recovery code, by the current key first, then by the others."""
    code = "".join(letter for letter in typed.upper() if letter.isalnum())[: 2 * RECOVERY_CHARACTERS].encode()
    ids = sorted(ring.keys, key=lambda key_id: key_id != ring.current)
    return tuple(hmac.digest(ring.keys[n], _RECOVERY_DOMAIN + person + code, "sha256") for n in ids)


def _in_name(character: str) -> bool:
    return character in _NAME_MARKS or unicodedata.category(character)[0] in "LMN"
