"""What a node that lost touch with the others leaves to them, until it is heard of again."""

import asyncio
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dastak.app_nodes import Among
from dastak.app_stop import StopStack
from dastak.config import Settings
from dastak.core.errors import Overloaded
from dastak.core.message import Message
from dastak.core.node import Beat, Node, Role, for_others, in_hand
from dastak.core.way_out import Queue
from tests.support.samples import NOW, some_message, some_verification


class Nodes:
    """So much of the port `NodeStore` as a beating node asks; it can be away, or take the node for dead."""

    alone = False

    def __init__(self) -> None:
        self.number = 0
        self.away = self.dead = False
        self.asked = asyncio.Event()

    async def join(self, name: str, roles: Collection[Role]) -> int:
        self.number += 1
        return self.number

    async def beat(self, up: Collection[str], queues: Mapping[str, Queue]) -> Beat | None:
        self.asked.set()
        if self.away:
            raise Overloaded("The database does not answer.")
        if self.dead:
            self.dead = False
            return None
        return Beat((Node(n=self.number, name="one", roles=(Role.ALL,)),))

    async def leave(self) -> None:
        """Nothing is held."""


class Sender:
    """A node whose worker only notes what it is handed."""

    def __init__(self, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
        self._nodes = nodes
        self.among = Among(Settings(), cast("Any", nodes))
        self._handed: list[Message] = []
        self._kept: list[Message] = []
        monkeypatch.setattr(
            self.among.worker, "hand_over", lambda _one, message: self._handed.append(message)
        )
        monkeypatch.setattr(self.among.worker, "look_for", self._kept.append)

    def hands_over(self, owner: int) -> bool:
        """Say whether a message that was committed in somebody's hands leaves here at once."""
        message = some_message(one := some_verification(), owner=owner)
        self._handed.clear()
        self._kept.clear()
        self.among.hand_over(one, message)
        return self._handed == [message]

    def keeps(self, owner: int) -> bool:
        """Say whether such a message waits here until this node is heard of again."""
        return not self.hands_over(owner) and len(self._kept) == 1

    async def until_it_leases(self, owner: int) -> None:
        """Wait for beats until what is accepted here is in such hands."""
        async with asyncio.timeout(30):
            while self.among.lease(NOW).owner != owner:
                self._nodes.asked.clear()
                await self._nodes.asked.wait()


async def test_node_that_is_lost_takes_nothing_in_hand_until_it_is_heard_of_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dastak.nodes.pulse.BEAT_EVERY_S", 0.001)
    monkeypatch.setattr("dastak.nodes.pulse.HOLD_S", 0.05)
    nodes = Nodes()
    sender = Sender(nodes, monkeypatch)

    async with StopStack() as stack:
        await sender.among.join(stack, cast("Any", SimpleNamespace(entries=())))
        await sender.until_it_leases(1)
        living = sender.among.lease(NOW), sender.hands_over(1), sender.hands_over(0)
        nodes.away = True
        await sender.until_it_leases(0)
        lost = sender.among.lease(NOW), sender.hands_over(0)
        late = sender.hands_over(1), sender.keeps(1), sender.keeps(0)
        nodes.away, nodes.dead = False, True
        await sender.until_it_leases(2)
        back = sender.among.lease(NOW), sender.hands_over(2), sender.hands_over(1)

    assert living == (in_hand(NOW, 1), True, False)
    assert lost == (for_others(NOW), False)
    # A commit that began before the node was lost, and one that others find.
    assert late == (False, True, False)
    assert back == (in_hand(NOW, 2), True, False)
