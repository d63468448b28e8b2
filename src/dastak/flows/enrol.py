"""Give a person a second factor: a proved number, an authenticator, a printed list, recovery codes.

1. A number or an authenticator counts once a code of it was typed.
2. Who has a factor needs one, typed just now, to change any of them; a recovery code will do.
3. Recovery codes are shown once, and new ones void the old.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from dastak.core.errors import InvalidRequest, NotFound, Refused
from dastak.core.factor import FactorState, codes_left
from dastak.core.ids import FactorId
from dastak.core.login_settings import LoginSettings
from dastak.core.msisdn import Msisdn, parse
from dastak.core.people_store import LoginPorts
from dastak.core.person import (
    RECOVERY_OCTETS,
    Person,
    owned,
    recovery_codes,
    recovery_digests,
    ways,
    with_number,
    with_owned,
    without_owned,
)
from dastak.core.policy import FACTORS, Channel
from dastak.core.sign_in_limits import RESYNCS, Claim, key_of
from dastak.core.sign_in_state import FRESH, BrowserSession, is_fresh
from dastak.core.tenant import Caller
from dastak.core.verification import Verification
from dastak.flows import factors
from dastak.flows.factors import Enrolled, Enrolment
from dastak.flows.sign_in import Visitor, line_of, refuse_source

# What makes codes one after another, and so can be out of step with us.
STEPPING: Final = (Channel.TOTP, Channel.HOTP)


def may_change(login: LoginPorts, settings: LoginSettings, person: Person, session: BrowserSession) -> bool:
    """Say whether a session may change factors now: it proved the ones there are just before."""
    now = login.ports.clock.now()
    if not ways(person, settings.factors):
        return now < session.auth_at + FRESH
    return is_fresh(session, now)


def check_number(login: LoginPorts, settings: LoginSettings, person: Person, msisdn: Msisdn) -> None:
    """Pass a number that a person may have, before a code is sent there. Raises: Refused."""
    _numbered(login, settings, msisdn)(person)


async def set_number(
    login: LoginPorts,
    caller: Caller,
    settings: LoginSettings,
    person: Person,
    msisdn: Msisdn,
    *,
    visitor: Visitor,
) -> Person:
    """Give a person the number whose code was typed.

    With another number its authenticators and printed lists are taken away, and set up anew.

    Raises:
        Refused: One of them is required, and the number is no factor here. Those who run the site take the
            factors away first; the password alone would open the account from then.
    """
    before, moved = await _move(login, caller, person, _numbered(login, settings, msisdn))
    what = "number_added" if before.proved_at is None else "number_changed"
    await login.people.note_line(person.id, line_of(login, visitor, what))
    return moved


async def begin_factor(
    login: LoginPorts,
    caller: Caller,
    person: Person,
    kind: Channel,
    *,
    allowed: Sequence[Channel],
    to: str = "",
) -> Enrolled:
    """Make an authenticator or a printed list that its person is still to prove.

    Args:
        login: What the flow may touch.
        caller: The service's pages.
        person: Whose it will be.
        kind: One of `policy.FACTORS`.
        allowed: What the service allows.
        to: The number it is filed under, for a person that has none yet.

    Raises:
        Refused: The service does not allow it.
        InvalidMsisdn: There is no number.
        Conflict: The number has as many proved ones as it may have.
    """
    if kind not in FACTORS or kind not in allowed:
        raise Refused("This service does not allow that factor.", reason="factor_not_allowed")
    number = person.msisdn or parse(to).msisdn
    made = await factors.enrol(login.ports, caller, Enrolment(to=number, kind=kind, label=person.username))
    if person.msisdn is None:
        await login.people.move_person(person.id, lambda one: msgspec.structs.replace(one, msisdn=number))
    return made


async def seed_of(login: LoginPorts, caller: Caller, factor_id: FactorId) -> Enrolled | None:
    """Return a factor that waits for its proof, with its seed to be shown again; None if it does not wait."""
    factor = await factors.find(login.ports, caller, factor_id)
    if factor.state is not FactorState.PENDING or factor.sealed is None:
        return None
    return Enrolled(factor, seed=login.ports.sealer.unseal(factor.sealed, bound_to=factor.id))


async def list_left(login: LoginPorts, caller: Caller, person: Person) -> int | None:
    """Return how many codes a person's printed list has left; None if there is no list."""
    mine = owned(person, Channel.HASH_CHAIN)
    if mine is None:
        return None
    with suppress(NotFound):
        return codes_left(await factors.find(login.ports, caller, FactorId(bytes.fromhex(mine))))
    return None


async def own_factor(
    login: LoginPorts, caller: Caller, person: Person, proved: Verification, visitor: Visitor
) -> Person:
    """Give a person the factor whose code was typed; what it had of that kind is removed."""
    kind, factor = proved.particulars.channel, proved.particulars.factor
    assert factor is not None
    _, moved = await _move(login, caller, person, lambda one: with_owned(one, kind, factor))
    await login.people.note_line(person.id, line_of(login, visitor, f"{kind}_added"))
    return moved


async def drop_factor(
    login: LoginPorts,
    caller: Caller,
    settings: LoginSettings,
    person: Person,
    kind: Channel,
    *,
    visitor: Visitor,
) -> Person:
    """Take a person's authenticator or printed list away.

    Raises:
        Refused: It is the last one, and one is required; or it is the number, which is only changed.
    """
    allowed, required = settings.factors, settings.required
    _, moved = await _move(
        login, caller, person, lambda one: without_owned(one, kind, allowed, required=required)
    )
    await login.people.note_line(person.id, line_of(login, visitor, f"{kind}_removed"))
    return moved


async def bring_in_step(
    login: LoginPorts,
    caller: Caller,
    person: Person,
    kind: Channel,
    codes: Sequence[str],
    *,
    visitor: Visitor,
) -> bool:
    """Bring a person's authenticator into step by two codes in a row; that alone lets nobody in.

    Returns:
        False when the codes do not follow one another within reach.

    Raises:
        Refused: The person has no such authenticator.
        RateLimited: Too many tries today; each is counted before its codes are looked at.
    """
    mine = owned(person, kind)
    if kind not in STEPPING or mine is None:
        raise Refused("You have no such factor.", reason="no_factor")
    claim = Claim(key_of(login.ports.keys, RESYNCS, person.id), RESYNCS)
    await refuse_source(login.people, (claim,), now=login.ports.clock.now())
    try:
        await factors.resync(login.ports, caller, FactorId(bytes.fromhex(mine)), codes)
    except InvalidRequest:
        await login.people.note_line(person.id, line_of(login, visitor, "wrong_code"))
        return False
    await login.people.note_line(person.id, line_of(login, visitor, f"{kind}_in_step"))
    return True


async def prefer(login: LoginPorts, settings: LoginSettings, person: Person, kind: Channel) -> Person:
    """Have a person asked first for one of what it has. Raises: Refused (it has no such factor)."""
    if kind not in ways(person, settings.factors):
        raise Refused("You have no such factor.", reason="no_factor")
    return await login.people.move_person(person.id, lambda one: msgspec.structs.replace(one, prefers=kind))


async def new_recovery_codes(login: LoginPorts, person: Person, visitor: Visitor) -> tuple[str, ...]:
    """Make new recovery codes, to be shown now and never again."""
    codes = recovery_codes(login.ports.entropy(RECOVERY_OCTETS))
    digests = [recovery_digests(login.ports.keys, person.id, code)[0] for code in codes]
    line = line_of(login, visitor, "recovery_codes_made")
    await login.people.put_recovery_codes(person.id, digests, line=line)
    return codes


def _numbered(login: LoginPorts, settings: LoginSettings, msisdn: Msisdn) -> Callable[[Person], Person]:
    return partial(
        with_number,
        msisdn=msisdn,
        proved_at=login.ports.clock.now(),
        allowed=settings.factors,
        required=settings.required,
    )


async def _move(
    login: LoginPorts, caller: Caller, person: Person, rule: Callable[[Person], Person]
) -> tuple[Person, Person]:
    """Move a person on, remove the factors that it owns no more, and return it as it was and as it is."""
    before = person

    def noting(one: Person) -> Person:
        nonlocal before
        before = one
        return rule(one)

    moved = await login.people.move_person(person.id, noting)
    for one in before.owned:
        if one not in moved.owned:
            await _remove(login, caller, one.factor)
    return before, moved


async def _remove(login: LoginPorts, caller: Caller, factor: str) -> None:
    """Remove a factor; one that a customer's own program removed is gone already."""
    with suppress(NotFound):
        await factors.remove(login.ports, caller, FactorId(bytes.fromhex(factor)))
