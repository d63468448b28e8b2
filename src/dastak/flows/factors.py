"""Factors of a number: make one, choose the one to ask for, judge a code, bring it into step, remove it."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from dastak.core import factor as rules
from dastak.core import hash_chain
from dastak.core.errors import InvalidRequest, NotFound, Refused
from dastak.core.factor import SEED_OCTETS, Factor, FactorState
from dastak.core.hash_chain import ChainHash
from dastak.core.ids import ID_OCTETS, FactorId
from dastak.core.msisdn import Msisdn, parse
from dastak.core.oath import DIGITS_MIN, STEP_S, Authenticator, HashFunction
from dastak.core.policy import FACTORS, Channel
from dastak.core.ports import Once, Ports
from dastak.core.tenant import Caller

CHAIN_CODES: Final = 100
# A passphrase of a list that we print: nobody types it.
_PASSPHRASE_OCTETS: Final = 20
_CHAIN_SEED_OCTETS: Final = 5


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A factor that somebody wants.

    Attributes:
        seed: Of an authenticator that exists already, such as a token in hardware; None makes one.
        codes: How many codes a printed list shall have.
    """

    to: str
    kind: Channel
    label: str = ""
    seed: bytes | None = None
    digits: int = DIGITS_MIN
    hash_function: HashFunction = HashFunction.SHA1
    step_s: int = STEP_S
    codes: int = CHAIN_CODES


class Enrolled(msgspec.Struct, frozen=True):
    """A new factor, and what its person must be shown now and never again.

    Attributes:
        seed: Of an authenticator.
        printed: The codes of a list, in the order in which they are asked for: the first one has the number
            `codes` - 1, as `challenge` names it, and the last one has 0.
    """

    factor: Factor
    seed: bytes | None = None
    printed: tuple[str, ...] = ()


async def enrol(ports: Ports, caller: Caller, wanted: Enrolment, *, once: Once | None = None) -> Enrolled:
    """Make a factor; it counts once a code of it was right. What is kept for a repeat is without secrets.

    Raises:
        InvalidRequest: The number or a figure is not valid.
        Conflict: The number has as many proved factors as it may have.
    """
    made = _make(ports, caller, wanted)
    await ports.store.factors.put_factor(made.factor, once=once)
    return made


async def find(ports: Ports, caller: Caller, factor_id: FactorId) -> Factor:
    """Return a factor that is not removed, of the kind of key that asks. Raises: NotFound."""
    factor = await ports.store.factors.find_factor(caller.tenant.n, factor_id)
    if factor.mode is not caller.key.mode or factor.state is FactorState.REMOVED:
        raise NotFound("There is no such factor.")
    return factor


async def choose(ports: Ports, caller: Caller, msisdn: Msisdn, asked: Channel | None) -> Factor | None:
    """Return the newest proved factor to ask a number for; None is to send a code.

    Raises:
        Refused: A factor was asked for that the number has not, or that the service does not allow.
    """
    allowed = caller.service.policy.channels
    if asked is None and not any(channel in FACTORS for channel in allowed):
        return None
    if asked is not None and asked not in FACTORS:
        return None
    proved = [
        factor
        for factor in await ports.store.factors.factors_of(caller.tenant.n, caller.key.mode, msisdn)
        if factor.state is FactorState.ACTIVE and _has_codes(factor)
    ]
    for channel in allowed if asked is None else (asked,):
        if channel not in FACTORS:
            return None  # what is sent comes first here
        found = next((one for one in proved if one.kind is channel and channel in allowed), None)
        if found is not None:
            return found
    if asked is None:
        return None
    raise Refused(
        f"The number has no {asked} factor that counts, or the service's policy does not allow one.",
        reason="no_factor",
    )


def accepted(ports: Ports, factor: Factor, typed: str, *, at_s: int) -> Factor | None:
    """Return the factor after a code that is right, or None."""
    if factor.state is FactorState.REMOVED:
        return None
    return rules.accept(factor, _seed(ports, factor), typed, at_s=at_s)


async def resync(
    ports: Ports,
    caller: Caller,
    factor_id: FactorId,
    codes: Sequence[str],
    *,
    once: Once | None = None,
) -> Factor:
    """Bring an authenticator into step with us again, by codes it makes one after another.

    Raises:
        NotFound: There is no such factor.
        InvalidRequest: The codes are not those of one place in reach, or it is a printed list.
    """
    at_s = int(ports.clock.now().timestamp())
    await find(ports, caller, factor_id)

    def rule(factor: Factor) -> Factor:
        moved = rules.resync(factor, _seed(ports, factor), codes, at_s=at_s)
        if moved is None:
            raise InvalidRequest(
                "These codes do not follow one another within reach; type the next two as they are shown.",
                field="codes",
            )
        return moved

    return await ports.store.factors.move_factor(caller.tenant.n, factor_id, rule, once=once)


async def remove(ports: Ports, caller: Caller, factor_id: FactorId, *, once: Once | None = None) -> Factor:
    """Take a factor away, and its secret with it. Raises: NotFound."""
    await find(ports, caller, factor_id)
    return await ports.store.factors.move_factor(caller.tenant.n, factor_id, rules.remove, once=once)


def link(factor: Factor, secret: str, *, issuer: str, account: str) -> str:
    """Write the link that authenticators read.

    Source: the Key Uri Format of Google Authenticator, which all of them follow.
    """
    parameters = {
        "secret": secret,
        "issuer": issuer,
        "algorithm": factor.hash_function.value,
        "digits": str(factor.digits),
    }
    if factor.kind is Channel.TOTP:
        parameters["period"] = str(factor.step_s)
    else:
        parameters["counter"] = str(factor.last + 1)
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    return f"otpauth://{factor.kind}/{label}?{urlencode(parameters, quote_via=quote)}"


def _make(ports: Ports, caller: Caller, wanted: Enrolment) -> Enrolled:
    plain = Factor(
        id=FactorId(ports.entropy(ID_OCTETS)),
        tenant=caller.tenant.n,
        mode=caller.key.mode,
        msisdn=parse(wanted.to).msisdn,
        kind=wanted.kind,
        created_at=ports.clock.now(),
        label=wanted.label,
    )
    if wanted.kind is Channel.HASH_CHAIN:
        return _printed(ports, plain, wanted.codes)
    seed = wanted.seed or ports.entropy(SEED_OCTETS)
    shared = Authenticator(
        seed=seed, digits=wanted.digits, hash_function=wanted.hash_function, step_s=wanted.step_s
    )
    factor = msgspec.structs.replace(
        plain,
        sealed=ports.sealer.seal(seed, bound_to=plain.id),
        digits=shared.digits,
        hash_function=shared.hash_function,
        step_s=shared.step_s,
    )
    return Enrolled(factor, seed=seed)


def _printed(ports: Ports, plain: Factor, codes: int) -> Enrolled:
    """Make a list of codes, each the hash of the one that is asked for after it; we keep none of them."""
    passphrase = ports.entropy(_PASSPHRASE_OCTETS).hex()
    seed = ports.entropy(_CHAIN_SEED_OCTETS).hex()
    chain = hash_chain.begin(passphrase, seed, codes, ChainHash.SHA1)
    hash_chain.check_renewal(chain, used_seeds=frozenset())
    return Enrolled(
        msgspec.structs.replace(plain, chain=chain),
        printed=hash_chain.passwords(passphrase, seed, codes, ChainHash.SHA1),
    )


def _has_codes(factor: Factor) -> bool:
    left = rules.codes_left(factor)
    return left is None or left > 0


def _seed(ports: Ports, factor: Factor) -> bytes:
    return b"" if factor.sealed is None else ports.sealer.unseal(factor.sealed, bound_to=factor.id)
