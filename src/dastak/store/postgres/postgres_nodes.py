"""Which nodes are up on a PostgreSQL database, by its clock, and what each of them holds."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from dastak import __version__
from dastak.core.node import AWAY_S, COME_BACK_S, DEAD_AFTER_S, MOURNED_S, Beat, Node, Role, Slot
from dastak.core.way_out import Queue
from dastak.store.postgres.dialect import statements
from dastak.store.postgres.postgres_desk import steady_s
from dastak.store.postgres.postgres_lane import Connection, Lane, cut

# How long a listener that lost its connection waits before it opens another one, and how often one looks
# whether it shall end.
LISTEN_AGAIN_S: Final = 1.0
LISTEN_S: Final = 0.5
# A node tells of so many tenants who wait for a carrier.
CROWDS_TOLD_MAX: Final = 50
# Where a process's state and its begin stand in /proc/PID/stat, counted from the state on; and who is dead.
_STATE: Final = 0
_BEGAN: Final = 19
_DEAD_STATES: Final = "ZX"
_QUEUES: Final = msgspec.json.Decoder(dict[str, Queue])


class PostgresNodes:
    """The port `NodeStore`; it has a connection of its own, so that no beat waits behind other work.

    Args:
        opens: Opens a connection.

    Attributes:
        number: See `NodeStore`.
        process: As `process_of` tells of this one.
        mourning: Whether a node died lately, as the last beat heard.
    """

    alone = False

    def __init__(self, opens: Callable[[], Connection]) -> None:
        self._opens = opens
        self._sql = statements()
        self._lane = Lane(opens)
        self._listener: _Listener | None = None
        self._beaten_s = self._buries_from_s = 0.0
        self.number = 0
        self.process = process_of(os.getpid())
        self.mourning = False

    async def join(self, name: str, roles: Collection[Role]) -> int:
        """See `NodeStore.join`. Who was a node on this machine and is gone from it is buried at once."""

        def join(connection: Connection) -> int:
            others = connection.execute(self._sql["processes_of_nodes"]).fetchall()
            if gone := [n for n, process in others if is_gone(process)]:
                connection.execute(self._sql["bury_nodes"], (gone,))
            values = (name, ",".join(roles), __version__, self.process)
            [(number,)] = connection.execute(self._sql["join_nodes"], values).fetchall()
            return int(number)

        self.number = await self._lane.run(join)
        self._beaten_s = steady_s()
        # The database may have been away until now, and nobody else have come back yet.
        self._buries_from_s = self._beaten_s + COME_BACK_S
        return self.number

    async def beat(self, up: Collection[str], queues: Mapping[str, Queue]) -> Beat | None:
        """See `NodeStore.beat`."""
        told = _written(queues)

        def beat(connection: Connection) -> Beat | None:
            began_s, own_ms = steady_s(), time.time_ns() // 1_000_000
            silence = (self.number, self._silence_ms(began_s), int(MOURNED_S * 1000), own_ms, told)
            beaten, dead = connection.execute(self._sql["beat"], silence).fetchone() or (0, 0)
            if not beaten:
                return None
            self._beaten_s = began_s
            connection.execute(self._sql["tell_up"], (self.number, sorted(up)))
            return heard_of(connection, mourned=dead > 0)

        heard = await self._lane.run(beat)
        self.mourning = heard is not None and heard.mourned
        return heard

    async def leave(self) -> None:
        """See `NodeStore.leave`."""
        if self.number:
            await self._run("leave_slots", (self.number,), rows=False)
            await self._run("leave_nodes", (self.number,), rows=False)

    async def claim(self, carrier: str, binds: int, wanted: int) -> Sequence[int]:
        """See `NodeStore.claim`."""
        return [slot for (slot,) in await self._run("claim_slots", (carrier, binds, wanted, self.number))]

    async def release(self, carrier: str, slots: Collection[int]) -> None:
        """See `NodeStore.release`."""
        await self._run("release_slots", (carrier, self.number, sorted(slots)), rows=False)

    async def listed(self) -> Sequence[Node]:
        """See `NodeStore.listed`."""

        def read(connection: Connection) -> list[Node]:
            nodes = _nodes(connection)
            held = connection.execute(self._sql["slots_held"]).fetchall()
            in_hands = dict(connection.execute(self._sql["in_hands"]).fetchall())
            return [_holding(node, [n for _, _, n, _ in held].count(node.n), in_hands) for node in nodes]

        return await self._lane.run(read)

    async def listen(self, bell: Callable[[], None]) -> None:
        """See `NodeStore.listen`."""
        loop = asyncio.get_running_loop()
        self._listener = _Listener(self._opens, partial(loop.call_soon_threadsafe, bell))

    async def close(self) -> None:
        """Close all connections; what this node holds stays its own until it left or is dead."""
        if self._listener is not None:
            self._listener.close()
        await self._lane.close()

    def _silence_ms(self, now_s: float) -> int | None:
        """Return after how much silence another node is dead; None while those may yet come back."""
        away_s = now_s - self._beaten_s
        # A busy machine is late now and then: that does not put off again what is put off already.
        if away_s > DEAD_AFTER_S or (away_s > AWAY_S and now_s >= self._buries_from_s):
            self._buries_from_s = now_s + COME_BACK_S
        return None if now_s < self._buries_from_s else int(DEAD_AFTER_S * 1000)

    async def _run(self, statement: str, values: Sequence[Any], *, rows: bool = True) -> Sequence[Any]:
        def run(connection: Connection) -> Sequence[Any]:
            cursor = connection.execute(self._sql[statement], values)
            return cursor.fetchall() if rows else ()

        return await self._lane.run(run)


def process_of(pid: int) -> str:
    """Return what tells a process of this machine from all others, of any machine, since it was switched on.

    Returns:
        Where it runs (host, boot, namespace), its number there and when it began; nothing where the system
        does not tell, as outside Linux.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        place = os.readlink("/proc/self/ns/pid")
        began = _stat_of(pid)[_BEGAN]
    except OSError:
        return ""
    return f"{socket.gethostname()} {boot} {place} {pid} {began}"


def is_gone(process: str) -> bool:
    """Say whether a process of this machine, as `process_of` told of it, is surely there no more."""
    place, _, began = process.rpartition(" ")
    place, _, pid = place.rpartition(" ")
    if not pid.isdecimal() or not process_of(os.getpid()).startswith(f"{place} "):
        return False
    try:
        # Whose process it is does not matter for this, as it may for reading about it.
        os.kill(int(pid), 0)
        stat = _stat_of(int(pid))
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return stat[_BEGAN] != began or stat[_STATE] in _DEAD_STATES


def _stat_of(pid: int) -> Sequence[str]:
    """Return what Linux tells of a process, from its state on; its name before that may be any octets."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()


def heard_of(connection: Connection, *, mourned: bool = False) -> Beat:
    """Read who lives and what they hold."""
    slots = connection.execute(statements()["slots_held"]).fetchall()
    return Beat(
        tuple(node for node in _nodes(connection) if not node.dead),
        tuple(Slot(carrier, slot, node, bool(is_up)) for carrier, slot, node, is_up in slots),
        mourned,
    )


def _nodes(connection: Connection) -> list[Node]:
    return [_node(row) for row in connection.execute(statements()["nodes_listed"]).fetchall()]


class _Listener:
    """A thread that waits for the server's bell, and opens its connection again when that was lost."""

    def __init__(self, opens: Callable[[], Connection], ring: Callable[[], object]) -> None:
        self._opens, self._ring = opens, ring
        self._closing = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._listen, name="dastak-listen", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; the server is not waited for, since there is nothing to be lost here."""
        self._closing.set()
        if self._connection is not None:
            cut(self._connection)

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                with self._opens() as connection:
                    self._connection = connection
                    connection.execute("LISTEN dastak_due")
                    self._hear(connection)
            except psycopg.Error:
                # A bell may be lost; what it is rung for is found by the next look.
                self._closing.wait(LISTEN_AGAIN_S)

    def _hear(self, connection: Connection) -> None:
        while not self._closing.is_set():
            for _ in connection.notifies(timeout=LISTEN_S, stop_after=1):
                self._ring()


def _node(row: Sequence[Any]) -> Node:
    n, name, roles, age_ms, dead, version, ahead_ms, queues = row
    # A newer program may know more roles.
    known = tuple(Role(role) for role in roles.split(",") if role in set(Role))
    return Node(
        n=n,
        name=name,
        roles=known,
        version=version,
        beat_age_s=age_ms / 1000,
        ahead_s=None if ahead_ms is None else ahead_ms / 1000,
        dead=bool(dead),
        queues=_read(queues),
    )


def _written(queues: Mapping[str, Queue]) -> str:
    told = {route: Queue(_largest(queue.crowds), queue.per_s) for route, queue in queues.items()}
    return msgspec.json.encode(told).decode() if told else ""


def _largest(crowds: Mapping[int, int]) -> Mapping[int, int]:
    """Return the largest crowds; all others as one, of nobody."""
    if len(crowds) <= CROWDS_TOLD_MAX:
        return crowds
    ranked = sorted(crowds, key=crowds.__getitem__, reverse=True)
    told = {tenant: crowds[tenant] for tenant in ranked[:CROWDS_TOLD_MAX]}
    return {**told, 0: sum(crowds[tenant] for tenant in ranked[CROWDS_TOLD_MAX:])}


def _read(queues: str) -> Mapping[str, Queue]:
    """Read what a node told; a newer program may tell something else."""
    try:
        return _QUEUES.decode(queues) if queues else {}
    except msgspec.DecodeError:
        return {}


def _holding(node: Node, slots: int, in_hands: dict[int, int]) -> Node:
    return msgspec.structs.replace(node, slots=slots, messages=in_hands.get(node.n, 0))
