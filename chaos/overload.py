"""Too many people, people who ask again at once, and a long day: F19, F35, F20 and F26."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Final

from bench.load import LOST
from chaos.asked_calls import Call
from chaos.capacity import most
from chaos.flood import Orders, Reply
from chaos.flood import flood as ask_all
from chaos.outcome_table import Outcome
from chaos.people import Habits
from chaos.shipped_proxy import before
from chaos.stage import House, Stage
from chaos.watched_carrier import until

TIMES: Final = 10
STORM: Final = 1.2
FIRST_OF_FLOOD: Final = 919_500_000_000
# More than one process can do.
STARTS_PER_S_MAX: Final = 5_000
SAMPLE_S: Final = 0.5
# How long the last text of a flood may take.
ANSWERS_S_MAX: Final = 120.0
# Until then the program fills what it keeps of the newest messages and pages of the database.
FLAT_AFTER_S: Final = 300.0
# A code whose text comes later than that has kept its person waiting: it is not counted as done.
IN_TIME_S: Final = 5.0
# Each person of the crowd has a new number, of which the limits keep a note: 0.13 KiB, of a million at most.
KIB_MAX: Final = 0.2
REFUSALS: Final = (429, 503)
# A second with so much of the peak counts as recovered.
GOOD_SHARE: Final = 0.9
# Of `settle_s`: what takes longer than so many is not waited for.
GOOD_TIMES: Final = 4


async def flood(stage: Stage) -> Outcome:
    """F19: ten times as many starts as people can be served, by a schedule, beside people as usual."""
    async with stage.house("f19") as house:
        return await _far_too_many(house, "F19", "far too many starts")


async def flood_before_the_proxy(stage: Stage) -> Outcome:
    """F35: the same by way of HAProxy, which refuses what the program has no room for."""
    async with stage.house("f35") as house, before(house):
        return await _far_too_many(house, "F35", "far too many starts, and HAProxy before it")


async def _far_too_many(house: House, fault: str, title: str) -> Outcome:
    stage = house.stage
    peak = await most(house, stage.scale.overload_s / 4)
    before_mib = house.victim.process.resident_mib
    async with house.load():
        await house.until_accepted(10)
        before_per_s = await _most_starts(house, stage.scale.overload_s / 4)
        house.fault_begins()
        answers = await _flood(house, _too_many_per_s(stage, peak), stage.scale.overload_s)
        house.fault_ended_s = time.monotonic()
        await house.recovered(house.fault_ended_s)
        await house.until_asked(stage.scale.requests_min)
        await _texts(house, answers, "the flood has its texts")
        # A machine that others use as well is now faster, now slower: the peak is that of both sides.
        after_per_s = await _most_starts(house, stage.scale.overload_s / 4)
    # Who was refused a start for longer than their patience was told so each time.
    house.figures["people who gave up"] = sum(house.crowd.gave_up.values())
    house.crowd.gave_up.clear()
    findings = await house.close()
    for number, said in _without_retry_after(answers).items():
        house.breach(fault, f"{said} answers {number} say not when to come again")
    peak_per_s = (before_per_s + after_per_s) / 2
    figures = {"peak people/s": peak, **_figures(house, answers, peak_per_s, stage.scale.overload_s)}
    figures["memory more MiB"] = house.victim.process.resident_mib - before_mib
    house.expect_within("seconds of an accepted start, p99", figures["accepted p99 s"], 1.0)
    house.expect_within("seconds of a refusal, p99", figures["refused p99 s"], 0.1)
    house.expect_within("starts not done that go at the peak, %", 100 - figures["of the peak %"], 10.0)
    house.expect_within("checks not answered, %", 100 - figures["checks answered %"], 1.0)
    house.expect_within("MiB more", figures["memory more MiB"], 200.0)
    return stage.outcome(fault, title, house, findings, **figures)


def _too_many_per_s(stage: Stage, peak: float) -> float:
    return stage.scale.flood_per_s or TIMES * peak


async def _flood(house: House, per_s: float | None, seconds: float) -> list[Reply]:
    """Start so many a second, or one after the other, and take every answer."""
    others = house.books.others
    first = FIRST_OF_FLOOD + len(others)
    # Before a text can arrive: whoever it is for is nobody of the crowd.
    others.update(f"+{first + n}" for n in range(int(2 * seconds * (per_s or STARTS_PER_S_MAX)) + 100))
    orders = Orders(port=house.lines.port, key=house.lines.key, per_s=per_s, seconds=seconds, first=first)
    return await ask_all(orders)


async def _most_starts(house: House, seconds: float) -> float:
    """Measure how many starts a second have their text in time when nobody asks more than is answered."""
    began_s = time.monotonic()
    answers = await _flood(house, None, seconds)
    of_people = _accepted_of_people(house, began_s, began_s + seconds)
    await _texts(house, answers, "the peak has its texts")
    return (_in_time(house, answers, seconds) + of_people) / seconds


def _in_time(house: House, answers: list[Reply], seconds: float) -> int:
    """Count who was accepted and had the text soon after it."""
    accepted = [one for one in answers if one.at_s <= seconds]
    return sum(wait_s <= IN_TIME_S for wait_s in _until_text(house, accepted))


def _accepted_of_people(house: House, begin_s: float, end_s: float) -> int:
    return sum(call.status == 201 and begin_s <= call.answered_s <= end_s for call in house.books.calls)


def _figures(house: House, answers: list[Reply], peak_per_s: float, seconds: float) -> dict[str, float]:
    took_s = {status: [one.took_s for one in answers if one.status == status] for status in (201, 503)}
    checks = [call for call in house.books.calls if call.kind == "check" and _inside(house, call)]
    good = sum(call.status in (200, 409) for call in checks)
    in_time = _in_time(house, answers, seconds)
    of_people = _accepted_of_people(house, house.fault_began_s, house.fault_began_s + seconds)
    return {
        "peak starts/s": peak_per_s,
        "starts offered/s": len(answers) / seconds,
        "offered late, p99 s": _p99([one.late_s for one in answers]),
        "starts with their text in time/s": in_time / seconds,
        "of the peak %": 100 * (in_time + of_people) / seconds / max(1.0, peak_per_s),
        "accepted p99 s": _p99(took_s[201]),
        "its text, p99 s later": _p99(_until_text(house, answers)),
        "refused": _refused(answers),
        "without any answer": sum(one.status == LOST for one in answers),
        "refused p99 s": _p99(took_s[503]),
        "checks answered %": 100 * good / max(1, len(checks)),
    }


async def _texts(house: House, replies: list[Reply], what: str) -> None:
    """Wait until all who were accepted have a text; to look at each only once holds no carrier up."""
    waiting = [one.number for one in replies if one.status == 201]

    def all_came() -> bool:
        while waiting and house.books.arrivals.get(waiting[-1]):
            waiting.pop()
        return not waiting

    await until(all_came, within_s=ANSWERS_S_MAX, what=what)


def _until_text(house: House, replies: list[Reply]) -> list[float]:
    """Return how long each who was accepted waited for the text; 0 where it came before the answer."""
    accepted = ((one, house.books.arrivals.get(one.number)) for one in replies if one.status == 201)
    return [max(0.0, texts[0].at_s - one.answered_s) for one, texts in accepted if texts]


def _refused(replies: list[Reply]) -> int:
    return sum(one.status in REFUSALS for one in replies)


def _without_retry_after(replies: list[Reply]) -> Counter[int]:
    return Counter(one.status for one in replies if one.status in REFUSALS and not one.says_when)


def _inside(house: House, call: Call) -> bool:
    return house.fault_began_s <= call.asked_s <= house.fault_ended_s


def _p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))] if values else 0.0


async def retry_storm(stage: Stage) -> Outcome:
    """F20: a flood, and people beside it who ask three times again at once, and go on when it is over."""
    async with stage.house("f20") as house:
        peak = await most(house, stage.scale.overload_s / 4)
        house.crowd.habits = Habits(storm_tries=3, patience_s=10.0)
        house.per_s = STORM * peak
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            answers = await _flood(house, _too_many_per_s(stage, peak), stage.scale.overload_s / 2)
            ended_s = time.monotonic()
            await house.recovered(ended_s)
            good_s = await _until_good(house, GOOD_SHARE * peak, ended_s)
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        house.recoveries.append(good_s - ended_s)
        house.crowd.gave_up.clear()  # who asks four times at once and goes was refused, and told so
        findings = await house.close()
        figures = {"peak people/s": peak, "refused": _refused(answers)}
        return stage.outcome("F20", "retry storm", house, findings, **figures)


async def _until_good(house: House, per_s: float, since_s: float) -> float:
    """Wait for a second in which as many were accepted as should be, or for too long; return its end."""
    give_up_s = time.monotonic() + GOOD_TIMES * house.stage.scale.settle_s
    while True:
        await asyncio.sleep(SAMPLE_S)
        now_s = time.monotonic()
        lately = sum(
            call.status == 201 and call.kind == "start"
            for call in house.books.answered_since(max(since_s, now_s - 1.0))
        )
        if lately >= per_s * min(1.0, now_s - since_s):
            return now_s
        if now_s > give_up_s:
            return now_s


async def soak(stage: Stage) -> Outcome:
    """F26: the usual load for a long time; memory and files stay flat."""
    async with stage.house("f26") as house:
        memory: list[tuple[int, float]] = []  # how many were accepted until then, and MiB
        files: list[int] = []
        async with house.load():
            await house.until_accepted(10)
            house.fault_begins()
            end_s = time.monotonic() + stage.scale.soak_s
            while time.monotonic() < end_s or len(memory) < 4:
                await asyncio.sleep(SAMPLE_S)
                memory.append((len(house.books.accepted), house.victim.process.resident_mib))
                files.append(_open_files(house.victim.pid))
            await house.until_asked(stage.scale.requests_min)
            house.fault_ended_s = time.monotonic()
        findings = await house.close()
        per_start_kib = _slope(memory[len(memory) // 2 :]) * 1024
        figures = {
            "minutes": stage.scale.soak_s / 60,
            "memory MiB": memory[-1][1],
            "memory KiB for each start of the second half": per_start_kib,
            "files at most": max(files),
            "files at the end": files[-1],
        }
        if stage.scale.soak_s >= FLAT_AFTER_S:
            house.expect_within("KiB of memory for each start of the second half", per_start_kib, KIB_MAX)
        return stage.outcome("F26", "a long day", house, findings, **figures)


def _slope(points: list[tuple[int, float]]) -> float:
    """Return the slope of the line with the least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
