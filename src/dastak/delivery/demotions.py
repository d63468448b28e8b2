"""Tell each change of a route's weight that nobody ordered, once, and so its end."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec

# A change of weight is told when it falls below the one, and its end when it is above the other.
DEMOTED_BELOW: Final = 0.5
RESTORED_ABOVE: Final = 0.8
# With less evidence a low score says only that another route is known to be good.
EVIDENCE_MIN: Final = 30.0


class Demotion(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a route's weight that nobody ordered.

    Attributes:
        revision: Rises by one with each.
        country: Where; everywhere when it is empty.
        before: What was left of its weight before; 1 is all, 0 is none while there is another way.
        factor: What is left of it now.
    """

    revision: int
    at_s: float
    route: str
    country: str
    before: float
    factor: float
    why: str
    figures: Mapping[str, float]


class Demotions:
    """What was told, so that nothing is told twice.

    Args:
        tell: Told of every change.

    Attributes:
        revision: That of the newest change.
    """

    def __init__(self, tell: Callable[[Demotion], None]) -> None:
        self._tell = tell
        self._told: dict[tuple[str, str], float] = {}
        self.revision = 0

    def countries(self) -> set[str]:
        """Return where routes are demoted for their scores."""
        return {country for _, country in self._told}

    def factor_told(self, route: str, country: str) -> float:
        """Return what was told last to be left of a route's weight in a country."""
        return self._told.get((route, country), 1.0)

    def told(self) -> list[tuple[str, str, float]]:
        """Return what is told and not ended, to be kept."""
        return [(route, country, factor) for (route, country), factor in self._told.items()]

    def restore(self, revision: int, told: Collection[tuple[str, str, float]]) -> None:
        """Go on with what was told in an earlier run."""
        self.revision = revision
        self._told = {(route, country): factor for route, country, factor in told}

    def watch(
        self,
        route: str,
        country: str,
        factor: float,
        *,
        messages: float,
        figures: Callable[[], Mapping[str, float]],
        at_s: float,
    ) -> None:
        """Look at what is left of a route's weight, and tell if it fell or came back.

        Args:
            route: Its name.
            country: Where.
            factor: What its score leaves of its weight.
            messages: For how many messages the score speaks.
            figures: What the score is made of.
            at_s: The present instant.
        """
        before = self.factor_told(route, country)
        if factor < DEMOTED_BELOW and factor < before / 2 and messages >= EVIDENCE_MIN:
            self._told[route, country] = factor
            why = "its score fell behind that of the best route"
        elif before < 1.0 and factor > RESTORED_ABOVE:
            del self._told[route, country]
            factor, why = 1.0, "its score came back"
        else:
            return
        self.note(route, country, (before, factor), why, figures(), at_s=at_s)

    def end_unused(self, used: Collection[str], *, at_s: float) -> None:
        """Tell the end for routes that are not used any more."""
        for (route, country), factor in list(self._told.items()):
            if route not in used:
                del self._told[route, country]
                self.note(route, country, (factor, 1.0), "it is not used any more", {}, at_s=at_s)

    def note(
        self,
        route: str,
        country: str,
        step: tuple[float, float],
        why: str,
        figures: Mapping[str, float],
        *,
        at_s: float,
    ) -> None:
        """Tell a change of what is left of a route's weight, from the one figure to the other."""
        self.revision += 1
        demotion = Demotion(
            revision=self.revision,
            at_s=at_s,
            route=route,
            country=country,
            before=step[0],
            factor=step[1],
            why=why,
            figures=figures,
        )
        self._tell(demotion)
