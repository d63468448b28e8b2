"""Tell what was committed to those who hear of it, each only of the kinds of events that it names."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

from dastak.core.events import Event
from dastak.core.verification import Verification


class Listener(Protocol):
    """Hears of what was committed; nothing that it does changes that any more."""

    @property
    def hears(self) -> Collection[type[Event]]:
        """The kinds of events that it is told of."""

    def on_event(self, verification: Verification, event: Any, /) -> None:
        """Take an event, with its verification as it was written."""


class Publisher:
    """Tells one event after the other, in the order of the listeners."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._of: defaultdict[type[Event], list[Callable[[Verification, Any], None]]] = defaultdict(list)
        for listener in listeners:
            for kind in listener.hears:
                self._of[kind].append(listener.on_event)

    def publish(self, verification: Verification, events: Sequence[Event]) -> None:
        """See `Ports.publish`."""
        for event in events:
            for hear in self._of[type(event)]:
                hear(verification, event)
