"""Virtual phones: the texts that arrived on each, in memory, and whoever waits for the next one.

1. Everything belongs to one event loop, and nothing awaits between finding a text and taking it: no text is
   taken twice, and one that arrived before anybody waited is not missed.
2. Everything is bounded; what is oldest goes first, and a follower who does not keep up is cut off.
"""

import asyncio
import re
from collections import deque
from datetime import datetime
from typing import Final
from weakref import WeakSet, WeakValueDictionary

import msgspec

from dastak.core.errors import InvalidMsisdn, Overloaded
from dastak.core.msisdn import Msisdn

PHONES_MAX: Final = 1_000
TEXTS_PER_PHONE_MAX: Final = 100
WAITERS_MAX: Final = 1_000
FOLLOWERS_MAX: Final = 100
# A browser that is this far behind is better off reading the whole list again.
UPDATES_PENDING_MAX: Final = 100

# A phone in a box may have any number E.164 has room for, known to a numbering plan or not.
_NUMBER: Final = re.compile(r"\+?([1-9][0-9]{5,14})", re.ASCII)

# Where a code stands, most certain first. Ours begin the text; a word of capitals may also be a brand.
# (`<#>` in front is an old way to address Android's SMS Retriever.)
_CODE_PLACES: Final = (
    re.compile(r"(?:<#>)?\s*(?=[A-Z]*[0-9])([A-Z0-9]{4,10})(?![^\s.,:;!?])"),
    re.compile(r"(?:.*\n)?@[^\s@]+ #([A-Za-z0-9]{4,10})(?: @\S+)?\s*\Z", re.DOTALL),
    re.compile(r"\s*([A-Z]{4,10})(?![^\s.,:;!?])"),
)


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text as a phone has it.

    Attributes:
        id: Rises with every text on any phone; 0 until it arrived.
        route: The way it came, as the carrier in the box names it.
        data_coding: As in its submit_sm; None when it came another way.
        segments: How many parts it came in.
        submitted_at: When the carrier got its first part.
        received_at: When the phone had all of it.
    """

    id: int = 0
    msisdn: Msisdn
    sender: str
    text: str
    route: str
    data_coding: int | None = None
    segments: int = 1
    submitted_at: datetime
    received_at: datetime

    @property
    def code(self) -> str | None:
        """The code in it: its first word, or the one in its autofill line `@host #code`."""
        found = (place.match(self.text) for place in _CODE_PLACES)
        return next((match[1] for match in found if match), None)

    @property
    def latency_ms(self) -> int:
        """How long the carrier took to bring it."""
        return round((self.received_at - self.submitted_at).total_seconds() * 1000)


class Cleared(msgspec.Struct, frozen=True):
    """A phone was emptied."""

    msisdn: Msisdn


class CallNews(msgspec.Struct, frozen=True, kw_only=True):
    """A call to a phone as it stands: `ringing`, `answered` or `ended`, and then `why`.

    Attributes:
        keys: What was pressed on the phone.
        keys_heard: What who called pressed.
    """

    id: int
    msisdn: Msisdn
    caller: str
    state: str
    began_at: datetime
    why: str
    keys: str
    keys_heard: str = ""


Update = Text | Cleared | CallNews


class Follower:
    """Gets what happens on one phone, or on all, from now on; ends when it is let go of."""

    def __init__(self, msisdn: Msisdn | None) -> None:
        self._msisdn = msisdn
        self._updates: deque[Update] = deque()
        self._news = asyncio.Event()
        self._ended = False

    async def update(self) -> Update | None:
        """Wait for the next update; None when there will be no more."""
        while not self._updates and not self._ended:
            self._news.clear()
            await self._news.wait()
        return self._updates.popleft() if self._updates else None

    def tell(self, update: Update) -> None:
        """Take an update, or end when too many were not fetched."""
        if self._msisdn not in (None, update.msisdn):
            return
        if len(self._updates) == UPDATES_PENDING_MAX:
            self.end()
        if not self._ended:
            self._updates.append(update)
            self._news.set()

    def end(self) -> None:
        """Give what is pending no longer, and no more after it."""
        self._ended = True
        self._updates.clear()
        self._news.set()


class _Phone:
    """One phone: its texts, oldest first, and the id of the last one that was taken."""

    __slots__ = ("taken", "texts")

    def __init__(self) -> None:
        self.texts: deque[Text] = deque(maxlen=TEXTS_PER_PHONE_MAX)
        self.taken = 0


class Phones:
    """All phones in the box. A number has a phone as soon as a text arrives for it."""

    def __init__(self) -> None:
        # In the order of their newest texts, newest last.
        self._phones: dict[Msisdn, _Phone] = {}
        self._last_id = 0
        self._waiting = 0
        self._closed = False
        # Weak: who stops waiting or following just lets go, however that came about.
        self._arrivals: WeakValueDictionary[Msisdn, asyncio.Event] = WeakValueDictionary()
        self._followers: WeakSet[Follower] = WeakSet()

    def add(self, text: Text) -> Text:
        """Let a text arrive: give it its id and tell everybody who waits.

        Returns:
            The text as the phone has it now.
        """
        self._last_id += 1
        text = msgspec.structs.replace(text, id=self._last_id)
        phone = self._phones.pop(text.msisdn, None) or _Phone()
        phone.texts.append(text)
        self._phones[text.msisdn] = phone
        if len(self._phones) > PHONES_MAX:
            del self._phones[next(iter(self._phones))]
        arrival = self._arrivals.pop(text.msisdn, None)
        if arrival is not None:
            arrival.set()
        self.tell(text)
        return text

    def messages(self, msisdn: Msisdn) -> list[Text]:
        """Return what is on a phone, oldest first."""
        phone = self._phones.get(msisdn)
        return list(phone.texts) if phone else []

    def newest(self) -> list[tuple[Text, int]]:
        """Return each phone's newest text and how many texts it has, the latest phone first."""
        return [(phone.texts[-1], len(phone.texts)) for phone in reversed(self._phones.values())]

    def clear(self, msisdn: Msisdn) -> None:
        """Empty a phone."""
        if self._phones.pop(msisdn, None):
            self.tell(Cleared(msisdn))

    async def next(self, msisdn: Msisdn, *, timeout_s: float, after: int | None = None) -> Text | None:
        """Wait for a text and take it.

        Args:
            msisdn: The phone; it need not have had a text yet.
            timeout_s: None is returned when there is no such text by then.
            after: Without it the phone remembers what was taken: each text is given out once, oldest first,
                also one that arrived earlier. With it the caller does: the oldest text with a greater id is
                returned, as often as it is asked for.

        Raises:
            Overloaded: Too many wait already.
        """
        if self._waiting == WAITERS_MAX:
            raise Overloaded("Too many callers wait for a text.")
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                while (text := self._take(msisdn, after)) is None and not self._closed:
                    arrival = self._arrivals.setdefault(msisdn, asyncio.Event())
                    await arrival.wait()
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1
        return text

    def follow(self, msisdn: Msisdn | None = None) -> Follower:
        """Follow one phone, or all; keep what is returned for as long as updates are wanted.

        Raises:
            Overloaded: Too many follow already.
        """
        if len(self._followers) >= FOLLOWERS_MAX:
            raise Overloaded("Too many pages follow the phones.")
        follower = Follower(msisdn)
        self._followers.add(follower)
        if self._closed:
            follower.end()
        return follower

    def close(self) -> None:
        """Let everybody who waits or follows go, so that a server can stop; twice is fine."""
        self._closed = True
        for arrival in list(self._arrivals.values()):
            arrival.set()
        for follower in list(self._followers):
            follower.end()

    def _take(self, msisdn: Msisdn, after: int | None) -> Text | None:
        phone = self._phones.get(msisdn)
        if phone is None:
            return None
        seen = phone.taken if after is None else after
        text = next((text for text in phone.texts if text.id > seen), None)
        if text and after is None:
            phone.taken = text.id
        return text

    def tell(self, update: Update) -> None:
        """Let everybody know who follows."""
        for follower in list(self._followers):
            follower.tell(update)


def read_number(spelling: str) -> Msisdn:
    """Read a number as addresses of pages and of carriers spell it: digits, a plus sign or none.

    Raises:
        InvalidMsisdn: It is something else.
    """
    match = _NUMBER.fullmatch(spelling)
    if match is None:
        raise InvalidMsisdn(
            "Write a number as 6 to 15 digits from its calling code on, such as +12025550100."
        )
    return Msisdn("+" + match[1])
