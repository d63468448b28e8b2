"""When a visitor's browser has to do a sum first, and when waiting does as well.

1. Nobody is asked below the budgets. They count codes that were asked for and not proved: a right code gives
   its own back, so that a busy page, or a network that thousands share, is not taken for an attack. What is
   asked for a number that is locked counts, though nothing is sent: nobody tries a list of them for locks.
2. A solution is good once, whoever brings it.
3. Who has no script waits instead; so few may wait that programs gain nothing by it.
"""

import hmac
from typing import Final

from starlette.requests import Request

from dastak.core.people_store import PeopleStore
from dastak.core.ports import Ports
from dastak.core.sign_in_limits import BUDGETS, Budget, Claim, key_of, network_of
from dastak.web.landing.proof_of_work import GOOD_FOR_S, Challenge, Judged, challenge, judge
from dastak.web.login.login_house import client_address

# An address may ask for ten codes in ten minutes (guard/limits.py): the sum comes before that refusal.
FROM_NETWORK: Final = Budget("page_from_network", 8, 3600)
OF_PAGE: Final = Budget("page", 100, 900)
WAITS_OF_NETWORK: Final = Budget("page_waits_of_network", 6, 3600)
WAITS_OF_PAGE: Final = Budget("page_waits", 60, 3600)
ONCE: Final = Budget("page_work", 1, GOOD_FOR_S)
WAIT_S: Final = 60
assert WAIT_S < GOOD_FOR_S
assert not {one.name for one in (FROM_NETWORK, OF_PAGE, WAITS_OF_NETWORK, WAITS_OF_PAGE, ONCE)} & {
    one.name for one in BUDGETS
}
# One key of the ring does one thing only.
_PURPOSE: Final = b"dastak/page-work/1\0"


class WorkGate:
    """Stands before every code that a landing page sends.

    Args:
        ports: The clock, the keys and chance.
        people: Keeps the tallies, as it does for the login.
        proxies: How many proxies of ours stand before us.
    """

    def __init__(self, ports: Ports, people: PeopleStore, proxies: int) -> None:
        self._clock, self._entropy, self._ring = ports.clock, ports.entropy, ports.keys
        self._people, self._proxies = people, proxies
        keys = {n: hmac.digest(key, _PURPOSE, "sha256") for n, key in ports.keys.keys.items()}
        self._keys, self._current = tuple(keys.values()), keys[ports.keys.current]

    async def ask(self, request: Request, page: int, brought: str) -> Challenge | None:
        """Count a code that is asked for, or say what has to be done before.

        Args:
            request: Who asks for the code.
            page: The page.
            brought: What the form has in `proof_of_work.FIELD`; may be empty.

        Returns:
            None: go on.
        """
        now, counted = self._clock.now(), self._counted(request, page)
        met = await self._people.claim(counted, now=now)
        if met is None:
            return None
        now_s = int(now.timestamp())
        judged = judge(self._keys, brought, page, now_s)
        if judged is None or not await self._passed(request, page, judged, now_s):
            return challenge(self._current, page, now_s, self._entropy)
        # What is not used up counts on: a page sees an attack that each network pays for.
        await self._people.claim([claim for claim in counted if claim != met], now=now)
        return None

    async def give_back(self, request: Request, page: int) -> None:
        """Count a code no more: it was proved."""
        await self._people.give_back(self._counted(request, page), now=self._clock.now())

    async def _passed(self, request: Request, page: int, judged: Judged, now_s: int) -> bool:
        claims = [self._claim(ONCE, judged.salt)]
        if not judged.solved:
            if now_s - judged.given_at_s < WAIT_S:
                return False
            claims += [
                self._claim(WAITS_OF_NETWORK, self._network(request)),
                self._claim(WAITS_OF_PAGE, str(page)),
            ]
        return await self._people.claim(claims, now=self._clock.now()) is None

    def _counted(self, request: Request, page: int) -> tuple[Claim, Claim]:
        return self._claim(FROM_NETWORK, self._network(request)), self._claim(OF_PAGE, str(page))

    def _network(self, request: Request) -> str:
        return network_of(client_address(request, self._proxies))

    def _claim(self, budget: Budget, whose: str) -> Claim:
        return Claim(key_of(self._ring, budget, whose.encode()), budget)
