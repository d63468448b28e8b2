"""Answers that come at even times, however long they took."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from starlette.responses import Response

from dastak.core.errors import Overloaded
from dastak.web.login.even_answers import STEP_S, evenly
from tests.support.house import FakeClock


class HastyClock(FakeClock):
    """Waits in no time for whatever is asked of it."""

    def ring(self, after_s: float, bell: Callable[[], None]) -> Callable[[], None]:
        self.advance(after_s)
        bell()
        return lambda: None


def _answer() -> Response:
    return Response("an answer")


def _refuse() -> Response:
    raise Overloaded("Not now.", retry_after_s=1)


@pytest.mark.parametrize("answer", [_answer, _refuse])
@pytest.mark.parametrize(("took_s", "steps"), [(0.0, 1), (0.2, 1), (0.3, 2), (0.5, 3)])
async def test_answer_comes_after_whole_steps(
    took_s: float, steps: int, answer: Callable[[], Response]
) -> None:
    clock = HastyClock()
    asked_at = clock.now()

    async def work() -> Response:
        clock.advance(took_s)
        return answer()

    with suppress(Overloaded):
        assert (await evenly(clock, work)).body == b"an answer"

    assert (clock.now() - asked_at).total_seconds() == pytest.approx(steps * STEP_S)
