"""People who ask for a code, get it by text, mistype it, and type it right: the load of every fault test.

They come at chance intervals and wait for nobody. Each has a number of their own and asks again, under the
same Idempotency-Key, until somebody answers; the code is checked by two requests at once.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

from chaos.api_lines import Answer, ApiLines
from chaos.asked_calls import NO_ANSWER, NOT_SENT, Call
from chaos.books import Books
from chaos.code_traces import CODE_DIGITS
from chaos.watched_carrier import Phones

PATH: Final = "/v1/verifications"
# People who are in the house at once; more are turned away at the door, and counted.
PEOPLE_MAX: Final = 20_000
# One in so many reads the state right after its start, and again after its checks.
READS_EVERY: Final = 5
# With 408 a request was not whole in time, as where this machine itself stood still: nobody has judged it.
_TRY_AGAIN: Final = frozenset({NOT_SENT, NO_ANSWER, 408, 429, 503})


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How people behave.

    Attributes:
        patience_s: How long they try to get an answer.
        pause_s: Between two tries at most; the first pauses are shorter.
        waits_as_told: Come again no sooner than a refusal says (`Retry-After`), as good clients do.
        storm_tries: Ask so often again at once, without any pause; 0 is to be patient.
        text_s: How long they wait for the text.
        types_after_s: How long they take to type it.
        wrong_max: How many wrong codes they type before the right one: 0 to so many.
        ttl_s: Narrows the life of their codes; None takes the policy's.
    """

    patience_s: float = 60.0
    pause_s: float = 0.5
    waits_as_told: bool = True
    storm_tries: int = 0
    text_s: float = 60.0
    types_after_s: float = 0.0
    wrong_max: int = 2
    ttl_s: int | None = None


class Crowd:
    """The people of one scene.

    Attributes:
        came: How many have come.
        inside: How many have not finished.
        turned_away: How many found the house full.
        gave_up: How many were never answered well, by the last status they got.
        without_retry_after: How many refusals did not say when to come again.
    """

    def __init__(
        self, lines: ApiLines, books: Books, phones: Phones, *, chance: Random, first: int, habits: Habits
    ) -> None:
        self._lines, self._books, self._phones = lines, books, phones
        self._chance, self._first = chance, first
        self.habits = habits
        self.came = self.turned_away = self.without_retry_after = 0
        self.gave_up: Counter[int] = Counter()
        self._inside: set[asyncio.Task[None]] = set()

    @property
    def inside(self) -> int:
        """How many have not finished."""
        return len(self._inside)

    async def stream(self, per_s: float, *, until: Callable[[], bool]) -> None:
        """Let people come at chance intervals until something is so."""
        due_s = time.monotonic()
        while not until():
            due_s += self._chance.expovariate(per_s)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self.let_in()

    def let_in(self) -> None:
        """Let one more come."""
        self.came += 1
        if len(self._inside) >= PEOPLE_MAX:
            self.turned_away += 1
            return
        task = asyncio.create_task(self._person(f"+91{self._first + self.came}", self._chance.random()))
        self._inside.add(task)
        task.add_done_callback(self._inside.discard)

    async def one(self) -> None:
        """Let one more come, and wait until they have finished."""
        self.came += 1
        await self._person(f"+91{self._first + self.came}", self._chance.random())

    async def only_start(self) -> None:
        """Let one person ask for a code and do nothing else."""
        self.came += 1
        number = f"+91{self._first + self.came}"
        started = await self._insist("start", number, PATH, self._asks(number), key=number)
        if started.status != 201:
            self.gave_up[started.status] += 1

    async def leave(self, *, within_s: float) -> None:
        """Wait until everybody has finished.

        Raises:
            TimeoutError: Somebody has not, which a person would have noticed too.
        """
        tasks = tuple(self._inside)
        if not tasks:
            return
        done, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            task.result()
        if late:
            raise TimeoutError(f"{len(late)} people have not finished after {within_s} s")

    async def _person(self, number: str, draw: float) -> None:
        started = await self._insist("start", number, PATH, self._asks(number), key=number)
        if started.status != 201:
            self.gave_up[started.status] += 1
            return
        verification = started.body["id"]
        if int(number) % READS_EVERY == 0:
            await self._insist("read", number, f"{PATH}/{verification}", None)
        code = await self._phones.code(number, within_s=self.habits.text_s)
        if code is None:
            return
        await asyncio.sleep(self.habits.types_after_s)
        path = f"{PATH}/{verification}/check"
        for _ in range(int(draw * (self.habits.wrong_max + 1))):
            # One that gets no answer may have been judged, so it is not typed again.
            await self._once("wrong", number, path, {"code": wrong(code)})
        right = (self._insist("check", number, path, {"code": code}) for _ in range(2))
        await asyncio.gather(*right)
        if int(number) % READS_EVERY == 0:
            await self._insist("read", number, f"{PATH}/{verification}", None)

    def _asks(self, number: str) -> dict[str, Any]:
        policy = {"length": CODE_DIGITS}
        if self.habits.ttl_s is not None:
            policy["ttl_s"] = self.habits.ttl_s
        return {"to": number, "policy": policy}

    async def _insist(
        self, kind: str, number: str, path: str, body: dict[str, Any] | None, *, key: str = ""
    ) -> Answer:
        """Ask until there is an answer that is one, or patience ends."""
        give_up_s = time.monotonic() + self.habits.patience_s
        tries, pause_s = 0, 0.02
        while True:
            answer = await self._once(kind, number, path, body, key=key)
            tries += 1
            if answer.status not in _TRY_AGAIN or time.monotonic() >= give_up_s:
                return answer
            if self.habits.storm_tries:
                if tries > self.habits.storm_tries:
                    return answer
                await asyncio.sleep(0)
                continue
            told_s = (answer.retry_after_s or 0) if self.habits.waits_as_told else 0
            await asyncio.sleep(told_s + pause_s * (0.5 + self._chance.random()))
            pause_s = min(2 * pause_s, self.habits.pause_s)

    async def _once(
        self, kind: str, number: str, path: str, body: dict[str, Any] | None, *, key: str = ""
    ) -> Answer:
        method = "GET" if body is None else "POST"
        answer = await self._lines.ask(method, path, body, idempotency_key=key)
        if answer.status in (429, 503) and answer.retry_after_s is None:
            self.without_retry_after += 1
        self._books.note(
            Call(
                kind,
                number,
                answer.asked_s,
                answer.answered_s,
                answer.status,
                id=answer.body.get("id", ""),
                approved=answer.body.get("approved") is True,
                replayed="idempotency-replayed" in answer.headers,
                retry_after_s=answer.retry_after_s,
                state=str(answer.body.get("state", "")),
                sent_s=answer.sent_s,
            )
        )
        return answer


def wrong(code: str) -> str:
    """Return another code of the same length."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
