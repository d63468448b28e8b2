"""Carriers fail under load: F12, F13, F14, F15, F17 and F27."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from chaos.books import count
from chaos.fault_proxy import Mode, Weather
from chaos.machine_network import MachineNetwork, can_be_made
from chaos.outcome_table import Outcome
from chaos.people import Habits
from chaos.stage import CannotPlay, House, Stage
from chaos.watched_carrier import WatchedCarrier, until
from dastak.simulator.faults import Fault, IdForm

# How long a link holds its breath, so that a cut finds a full window.
HOLD_MS = 1_000.0
WINDOW = 100
SLOW_RESPONSE_S = 4.0
SHUFFLE_S = 1.0
P99 = "to phone p99 s"
# Of a hundred packets in each direction. Twice the time of F13, where none passes, is allowed.
LOSSES: Final = (5, 30)
LOSSY_S_MAX: Final = 10.0
# People who still look at the text when the link is cut: their codes are not used yet.
SLOW = Habits(types_after_s=6.0)

# Of texts of a carrier that is only slow, how many may come twice; some do before it is known to be slow.
TWICE_SHARE_MAX: Final = 0.05
FEW_TWICE: Final = 10


async def cut_link(stage: Stage) -> Outcome:
    """F12: the link is cut while the carrier's answers are on their way."""
    async with stage.house("f12", habits=SLOW) as house:
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            # Answers that are held back fill the window; the cut loses them.
            house.north.proxy.turn(Weather(down_ms=HOLD_MS))
            asked = house.north.asked
            wanted = min(WINDOW, int(stage.per_s * HOLD_MS / 1000 / 2))
            await until(lambda: house.north.asked >= asked + wanted, within_s=30, what="a window of submits")
            in_doubt = house.north.asked - asked
            cut_s = time.monotonic()
            house.north.proxy.reset()
            house.figures["bound again after s"] = await bound_again(
                house.north, lambda: house.north.proxy.turn(Weather())
            )
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        findings = await house.close()
        again = [
            text.at_s - cut_s
            for texts in house.books.arrivals.values()
            for text in texts[1:]
            if text.at_s > cut_s
        ]
        house.expect("F12", bool(again), "nothing was in doubt, so nothing was tried")
        house.recoveries += again
        house.expect(
            "I3", findings.duplicated <= in_doubt + WINDOW, f"{findings.duplicated} texts came twice"
        )
        return stage.outcome("F12", "carrier link cut", house, findings, **{"in doubt": in_doubt})


async def silent_link(stage: Stage) -> Outcome:
    """F13: the connection is there and nothing passes."""
    async with stage.house("f13", enquire_link_s=2, response_timeout_s=5) as house:
        async with house.load():
            await house.until_accepted(10)
            before = len(house.books.arrivals)
            house.fault_begins()
            house.north.proxy.turn(Weather(mode=Mode.BLACKHOLE))
            await asyncio.sleep(stage.scale.settle_s)
            await house.until_asked(stage.scale.requests_min)
            healed_s = time.monotonic()
            house.fault_ended_s = healed_s
            house.recoveries.append(await bound_again(house.north, lambda: house.north.proxy.turn(Weather())))
            await house.until_accepted(10)
        findings = await house.close()
        house.expect("F13", len(house.books.arrivals) > before, "no text came while one carrier was silent")
        took = _to_phone_s(house, house.fault_began_s, healed_s)
        house.expect_within("seconds to the phone, p99", took.get(P99, 0.0), 5.0)
        return stage.outcome("F13", "carrier link swallows everything", house, findings, **took)


async def lossy_link(stage: Stage) -> Outcome:
    """F27: packets to the first carrier and back are lost: one in twenty, then three in ten."""
    if shutil.which("nft") is None or not await asyncio.to_thread(can_be_made):
        raise CannotPlay("it needs nft (nftables), and network namespaces, which root alone may make")
    async with (
        MachineNetwork(["carrier"]) as network,
        stage.house("f27", door=network.door("carrier"), enquire_link_s=2, response_timeout_s=5) as house,
    ):
        spans: dict[str, tuple[float, float]] = {}
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            for percent in LOSSES:
                began_s, asked = time.monotonic(), house.north.asked
                network.lose("carrier", percent)
                await asyncio.sleep(stage.scale.settle_s)
                await house.until_asked(stage.scale.requests_min, since_s=began_s)
                spans[f"at {percent} %"] = began_s, time.monotonic()
                house.figures[f"packets lost at {percent} %"] = lost = network.lost("carrier")
                house.figures[f"texts by it at {percent} %"] = house.north.asked - asked
                house.expect("F27", lost > 0, f"no packet was lost at {percent} %, so nothing was tried")
            house.fault_ended_s = time.monotonic()
            network.lose("carrier", 0)
            await _carries_again(house, since_s=house.fault_ended_s)
            await house.until_accepted(10)
        findings = await house.close()
        for when, span in spans.items():
            took = _to_phone_s(house, *span)
            house.expect_within(f"seconds to the phone {when}, p99", took.get(P99, 0.0), LOSSY_S_MAX)
            house.figures |= {f"{name} {when}": seconds for name, seconds in took.items()}
        return stage.outcome("F27", "5 and 30 % of packets lost", house, findings)


async def _carries_again(house: House, *, since_s: float) -> None:
    """Wait until north brings a text again, and note how long that takes."""
    asked = house.north.asked
    await until(lambda: house.north.asked > asked, within_s=60, what="a text by north")
    house.recoveries.append(time.monotonic() - since_s)


async def throttling(stage: Stage) -> Outcome:
    """F14: one carrier refuses three of ten with ESME_RTHROTTLED."""
    async with stage.house("f14", north=(Fault(throttle=0.3),)) as house:
        house.fault_begins()
        async with house.load():
            await house.until_accepted(20)
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        told = await house.told()
        findings = await house.join(told)
        kinds = Counter(event["type"] for one in told.values() for event in one.events)
        refused = Counter(
            event["status"] for one in told.values() for event in one.events if event["type"] == "refused"
        )
        house.expect("F14", not kinds["dropped"], f"{kinds['dropped']} messages were dropped")
        house.expect("F14", refused["ESME_RTHROTTLED"] > 0, "nothing was throttled, so nothing was tried")
        figures = {"throttled": refused["ESME_RTHROTTLED"], "by the other carrier": _texts_by(house, "south")}
        return stage.outcome("F14", "30 % throttled", house, findings, **figures)


async def strange_receipts(stage: Stage) -> Outcome:
    """F15: receipts five times, shuffled, before the answer, and with the id written otherwise."""
    faults = (
        *(Fault(number=f"*{n}", receipt_first=True, duplicates=4) for n in (1, 4, 7)),
        *(Fault(number=f"*{n}", receipt_id=IdForm.DECIMAL, shuffle_s=SHUFFLE_S) for n in (2, 5)),
        Fault(duplicates=4, shuffle_s=SHUFFLE_S),
    )
    async with stage.house("f15", north=faults, south=faults) as house:
        house.fault_begins()
        async with house.load():
            await house.until_accepted(20)
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        await asyncio.sleep(2 * SHUFFLE_S)  # the last copies come after the code was used
        told = await house.told()
        findings = await house.join(told)
        for number, one in told.items():
            house.expect("I7", count(one.events, "delivered") > 0, f"{number} was never settled")
        await _metrics_agree(house, findings.approved)
        return stage.outcome("F15", "receipts x5, shuffled, early", house, findings)


async def _metrics_agree(house: House, approved: int) -> None:
    """I12: what the metrics count is what the API tells; only where the program was never restarted."""
    counted = await house.victim.figure('dastak_verifications_total{event="approved",mode="live"}')
    house.expect("I12", counted == approved, f"metrics count {counted:g} approvals, and the API {approved}")


async def slow_carrier(stage: Stage) -> Outcome:
    """F17: the first carrier answers after four seconds."""
    async with stage.house("f17", north=(Fault(response=SLOW_RESPONSE_S),)) as house:
        house.fault_begins()
        async with house.load():
            await house.until_accepted(20)
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
            await asyncio.sleep(SLOW_RESPONSE_S)
        findings = await house.close()
        took = _to_phone_s(house, house.fault_began_s, house.fault_ended_s)
        house.expect_within("seconds to the phone, p99", took.get(P99, 0.0), 5.0)
        share = findings.duplicated / max(1, findings.accepted) * 100
        few = findings.duplicated <= max(FEW_TWICE, TWICE_SHARE_MAX * findings.accepted)
        house.expect("F17", few, f"{findings.duplicated} of {findings.accepted} texts were sent twice")
        return stage.outcome(
            "F17", "carrier answers after 4 s", house, findings, **took, **{"duplicates %": share}
        )


async def bound_again(carrier: WatchedCarrier, act: Callable[[], None]) -> float:
    """Do something to the link of a carrier, and return how long its next bind takes."""
    joined, began_s = carrier.proxy.joined, time.monotonic()
    act()
    await until(
        lambda: carrier.proxy.joined > joined and carrier.bound,
        within_s=60,
        what=f"{carrier.name} is bound again",
    )
    return time.monotonic() - began_s


def _texts_by(house: House, carrier: str) -> int:
    return sum(text.carrier == carrier for texts in house.books.arrivals.values() for text in texts)


def _to_phone_s(house: House, begin_s: float, end_s: float) -> dict[str, float]:
    """Return how long texts took from the question to the phone, of those asked in that time."""
    asked = {
        call.number: call.asked_s
        for call in reversed(house.books.calls)
        if call.kind == "start" and begin_s <= call.asked_s <= end_s
    }
    took = sorted(
        min(text.at_s for text in texts) - asked[number]
        for number, texts in house.books.arrivals.items()
        if number in asked
    )
    if not took:
        return {}
    return {P99: took[int(0.99 * len(took))], "to phone longest s": took[-1]}
