"""A look that a busy program refuses says nothing of a verification: it is asked for again, not gone."""

from pathlib import Path

from chaos.api_lines import Answer
from chaos.books import GONE, Told
from chaos.stage import QUICK, House, Stage
from chaos.victim import Victim
from chaos.watched_carrier import Phones

NUMBER, ID = "+919000000001", "ver_1"


class BusyLines:
    """Lines to a program that refuses each look once, and then answers with one status."""

    def __init__(self, status: int) -> None:
        self._status = status
        self._refused: set[str] = set()

    async def ask(self, method: str, path: str) -> Answer:
        """Answer as a busy program does."""
        del method
        status = self._status if path in self._refused else 503
        self._refused.add(path)
        return Answer(status, {}, {"state": "pending", "events": []}, 0.0, 0.0, 0.0)


def house(directory: Path, lines: BusyLines) -> House:
    made = House(Stage(directory, scale=QUICK, seed=1), Victim(directory), Phones())
    made.books.accepted[NUMBER] = ID
    made.lines = lines
    return made


async def test_refused_look_is_asked_for_again(tmp_path: Path) -> None:
    told = await house(tmp_path, BusyLines(200)).told(settle_s=0)

    assert told == {NUMBER: Told(state="pending", events=[])}


async def test_what_the_program_does_not_know_is_gone(tmp_path: Path) -> None:
    told = await house(tmp_path, BusyLines(404)).told(settle_s=0)

    assert told[NUMBER].state == GONE
