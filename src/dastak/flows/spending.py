"""What a message costs its tenant: a text before it leaves, a call at its worst and then by its length."""

from datetime import datetime
from typing import Final

import msgspec

from dastak.core.call_price import cost_micros
from dastak.core.call_rules import MICROS_MAX
from dastak.core.call_terms import CallBar
from dastak.core.errors import Overloaded, Refused
from dastak.core.events import CallNoted, CallPriced
from dastak.core.message import Message, MessageState, MessageStep
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Channel
from dastak.core.ports import Change, Ports
from dastak.core.spend import Account, Correction, Reserve, Spend
from dastak.core.tenant import Caller, Mode, Tenant
from dastak.core.verification import Verification

# The first step of a call where several nodes call, written before it is dialled: all of them count it.
OFFERED: Final = "offered"


def uncount_send(
    ports: Ports, caller: Caller, msisdn: Msisdn, client_ip: str | None, why: Refused | Overloaded
) -> None:
    """Count a send no more that the store refused, unless it may have been kept.

    Who asks again while the database cannot write would else be told that the number had too many codes.
    """
    if isinstance(why, Refused) or not why.may_be_done:  # by a cap, or by what other nodes sent to the number
        ports.limits.give_back(caller, msisdn, client_ip)


async def count_call(ports: Ports, verification: Verification, message: Message, now: datetime) -> None:
    """Count a call before it is dialled. Raises: RateLimited (the number was called too often)."""
    judge = ports.calls.judge(verification.mode, verification.msisdn, message.key, now=now)
    if judge is None:
        ports.calls.take(verification.mode, verification.msisdn, now=now)
        return
    offered = CallNoted(int(now.timestamp() * 1000), message.key.ordinal, OFFERED)
    await ports.store.decide(message.key, lambda _: Change(answer=None, trace=(offered,)), judge=judge)
    ports.publish(verification, (offered,))


def spend_of(
    ports: Ports,
    tenant: Tenant,
    verification: Verification,
    *,
    channel: Channel,
    segments: int,
    now: datetime,
) -> Spend | None:
    """Return what a message may cost at most; test messages cost nothing."""
    if verification.mode is Mode.TEST:
        return None
    day, cap_micros = now.toordinal(), tenant.daily_spend_cap_micros
    if channel is not Channel.VOICE:
        return Spend(segments * ports.price_micros(), cap_micros, day)
    rules = ports.service_of(verification.service).calls
    terms = ports.call_terms(verification.mode, tenant.n, rules, verification.msisdn)
    accounts = []
    if rules.daily_cap_micros < MICROS_MAX:
        account = Account(f"service:{verification.service}", rules.daily_cap_micros, CallBar.SERVICE_CAP)
        accounts.append(account)
    if terms.prefix_cap_micros is not None:
        accounts.append(Account(f"prefix:{terms.prefix}", terms.prefix_cap_micros, CallBar.PREFIX_CAP))
    return Spend(terms.worst_micros, cap_micros, day, tuple(accounts))


def settled_call(
    ports: Ports, verification: Verification, step: MessageStep, now: datetime
) -> tuple[MessageStep, Correction | None]:
    """Say what a call cost that is over, and correct what was set aside for it; else leave all as it is."""
    message = step.message
    reserve = message.reserve
    if reserve is None or message.state in (MessageState.QUEUED, MessageState.SUBMITTED):
        return step, None
    micros = _cost_micros(ports, verification, message, reserve, step.answered_s)
    told = CallPriced(
        int(now.timestamp() * 1000),
        message.key.ordinal,
        "" if message.carrier is None else message.carrier.route,
        None if step.answered_s is None else round(step.answered_s, 1),
        micros,
        reserve.micros,
    )
    over = msgspec.structs.replace(message, reserve=None)
    settled = msgspec.structs.replace(step, message=over, events=(*step.events, told))
    return settled, Correction(micros - reserve.micros, reserve)


def _cost_micros(
    ports: Ports, verification: Verification, message: Message, reserve: Reserve, answered_s: float | None
) -> int:
    if message.carrier is None or answered_s == 0:
        return 0
    price = ports.call_price(message.carrier.route, verification.msisdn)
    if answered_s is None or price is None:
        return reserve.micros  # its trunk tells no length, or is gone
    return cost_micros(price, answered_s)
