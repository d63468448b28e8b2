"""Let concurrent callers share the statements and the durable commit of one transaction.

1. A batch locks the numbers it is about, in order, then reads what it needs in sets; its operations run on
   the loop, one after the other; what they decided is written in sets and committed.
2. A caller hears of success only after the COMMIT that holds its change.
3. An operation that fails takes nobody with it: it fails before it changes anything, and when PostgreSQL
   refuses what one of them wrote, or one lock is not to be had, the batch is halved until it stands alone.
4. When the answer to a COMMIT is lost, callers hear that the change may have been kept.
5. Nobody waits twice for a server that does not answer: a batch has one time for all its steps, and who
   stands behind one that did not make it is sent away with it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus

from dastak.core.errors import InvalidRequest, Overloaded
from dastak.core.past_use import LookFurther
from dastak.core.policy import Policy
from dastak.store import rows
from dastak.store.factor_tables import factor_of
from dastak.store.postgres.dialect import statements
from dastak.store.postgres.operations import Operation
from dastak.store.postgres.postgres_lane import (
    CLOSE_S_MAX,
    OF_ONE,
    RETRY_AFTER_S,
    Connection,
    Lane,
    NotSent,
    NotThere,
    answer_by_s,
)
from dastak.store.postgres.sheet import NotRead, Sheet, changes, encoded
from dastak.store.postgres.wanted import Account, Wanted
from dastak.store.ran import Ran, tell

WAITING_MAX: Final = 20_000
# The server keeps the locks of all batches in one table of some thousands.
BATCH_MAX: Final = 256
# More connections than two only split the batches.
LANES: Final = 2
WAIT_S_MAX: Final = 1.0
# For a number, by what has waited for it already as part of a batch that failed.
LOCK_MS_AGAIN: Final = 100
# For a row, which all of a tenant share. It is found out whose it is, before the time of all is over.
ROW_LOCK_MS_AGAIN: Final = 250
# With less time than this nothing is done again: it would be cut, and its connection with it.
AGAIN_S_MIN: Final = 0.3
# So many locks in a row that could not be had, with no commit between, are no accident of one number.
IN_VAIN_MAX: Final = 12
POLICIES_MAX: Final = 1024


class _Waiting(NamedTuple):
    operation: Operation
    future: asyncio.Future[Any]


class _CapReached(Exception):  # noqa: N818 - a signal: the batch comes again, and is careful
    """The charges of a batch together pass a cap; all of them are locked then, what is given back as well."""

    def __init__(self, accounts: Collection[Account]) -> None:
        super().__init__()
        self.accounts = accounts


class Batches:
    """The writers of verifications of one node.

    Args:
        opens: Opens a connection for statements in sets.
        octets_max: How long a timeline grows.
        node: Returns the number of this node.
        now_s: Returns the time by the server's clock, in seconds since 1970.

    Attributes:
        commits: How many were made.
        operations: How many operations they held together.
    """

    def __init__(
        self,
        opens: Callable[[], Connection],
        *,
        octets_max: int,
        node: Callable[[], int] = lambda: 0,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._octets_max, self._node, self._now_s = octets_max, node, now_s
        self._sql = statements()
        self._lanes = [Lane(opens) for _ in range(LANES)]
        self._waiting: deque[_Waiting] = deque()
        self._waiting_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._closing = self._failing = False
        self._in_vain = 0
        self._policies: dict[Policy, int] = {}
        self.commits = self.operations = 0
        self._writers = [self._loop.create_task(self._write(lane)) for lane in self._lanes]

    @property
    def healthy(self) -> bool:
        """Whether the last batch was written."""
        return not (self._closing or self._failing)

    @property
    def connects(self) -> int:
        """How many connections its lanes have opened."""
        return sum(lane.connects for lane in self._lanes)

    @property
    def doubts(self) -> int:
        """How many pieces of its work nobody knows the outcome of."""
        return sum(lane.doubts for lane in self._lanes)

    def run(self, operation: Operation) -> asyncio.Future[Any]:
        """Do an operation in the next batch; the future is done when that is durable.

        Its error is what the operation raises, or:
            Overloaded: Too much waits, or the database does not answer.
            InvalidRequest: A text has a character that PostgreSQL keeps nowhere.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        waiting, now = self._waiting, self._loop.time()
        if self._closing:
            future.set_exception(Overloaded("The database is closed.", retry_after_s=RETRY_AFTER_S))
        elif waiting and (len(waiting) >= WAITING_MAX or now - self._waiting_since > WAIT_S_MAX):
            future.set_exception(Overloaded("The database is behind."))
        else:
            if not waiting:
                self._waiting_since = now
            waiting.append(_Waiting(operation, future))
            self._wake.set()
        return future

    async def close(self) -> None:
        """Finish what waits, if the database answers in time, then stop."""
        self._closing = True
        self._wake.set()
        _, late = await asyncio.wait(self._writers, timeout=CLOSE_S_MAX)
        for writer in late:
            writer.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._send_away()
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    async def _write(self, lane: Lane) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            self._waiting_since = self._loop.time()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]
            try:
                await self._one_batch(lane, batch)
            except asyncio.CancelledError:
                detail = "The database was closed; the change may have been kept."
                error = Overloaded(detail, retry_after_s=RETRY_AFTER_S, may_be_done=True)
                tell([Ran(waiting.future, None, error) for waiting in batch])
                raise

    async def _one_batch(
        self, lane: Lane, batch: Sequence[_Waiting], *, by_s: float | None = None, again: bool = False
    ) -> None:
        batch = [waiting for waiting in batch if not waiting.future.done()]
        if not batch:
            return
        by_s = answer_by_s() if by_s is None else by_s
        try:
            try:
                ran = await self._commit(lane, batch, by_s, Wanted(again=again))
            except _CapReached as reached:
                again = True
                if by_s - self._loop.time() < AGAIN_S_MIN:
                    _tell_behind(batch)
                    return
                ran = await self._commit(lane, batch, by_s, Wanted(again=True, charged=reached.accounts))
        except (InvalidRequest, psycopg.IntegrityError) as error:
            await self._halve(lane, batch, error, by_s)
        except Exception as error:
            if isinstance(error.__cause__, OF_ONE):
                self._in_vain += 1
                await self._halve(lane, batch, error, by_s)
                self._failing = self._failing or self._in_vain >= IN_VAIN_MAX
                return
            self._policies.clear()
            tell([Ran(waiting.future, None, error) for waiting in batch])
            # What is done again had little time: that it was too little says nothing of the server.
            self._failing = self._failing or not again
            if not again and isinstance(error.__cause__, TimeoutError | NotThere):
                self._send_away()
        else:
            self._failing, self._in_vain = False, 0
            self.commits += 1
            self.operations += len(ran)
            tell(ran)

    async def _halve(self, lane: Lane, batch: Sequence[_Waiting], error: Exception, by_s: float) -> None:
        """Find out whose fault it was that a batch failed; the others go on, if there is time for them."""
        if len(batch) < 2:
            tell([Ran(waiting.future, None, error) for waiting in batch])
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            if by_s - self._loop.time() < AGAIN_S_MIN:
                _tell_behind(half)
            else:
                await self._one_batch(lane, half, by_s=by_s, again=True)

    def _send_away(self) -> None:
        """Tell those who wait as well that nobody answers: they have waited as long already."""
        error = Overloaded("The database does not answer.", retry_after_s=RETRY_AFTER_S)
        tell([Ran(waiting.future, None, error) for waiting in self._waiting])
        self._waiting.clear()

    async def _commit(
        self, lane: Lane, batch: Sequence[_Waiting], by_s: float, wanted: Wanted
    ) -> Sequence[Ran]:
        """Run a batch and return what came of it, all of it durable. Raises: _CapReached."""
        for waiting in batch:
            waiting.operation.want(wanted)
        sheet = Sheet(
            await self._numbered(lane, batch, by_s),
            careful=wanted.careful,
            node=self._node(),
            now_s=self._now_s(),
        )
        await lane.run(lambda connection: self._read(connection, wanted, sheet), ends=False, by_s=by_s)
        ran, again = [], []
        for waiting in batch:
            if (done := _act(waiting, sheet)) is None:
                again.append(waiting)
            else:
                ran.append(done)
        await lane.run(lambda connection: self._keep(connection, sheet), by_s=by_s)
        # Not before: what is to be undone with this batch would be done by another one as well.
        if again:
            if not self._waiting:
                self._waiting_since = self._loop.time()
            self._waiting.extendleft(reversed(again))
            self._wake.set()
        return ran

    async def _numbered(self, lane: Lane, batch: Sequence[_Waiting], by_s: float) -> dict[Policy, int]:
        """Return the numbers of a batch's policies, which stay its own: a batch that fails forgets all."""
        needed = {policy for waiting in batch if (policy := waiting.operation.policy)}
        numbers = {policy: self._policies[policy] for policy in needed & self._policies.keys()}
        new = needed - numbers.keys()
        if new:
            number = partial(self._number_policies, new=new)
            fresh = await lane.run(number, ends=False, by_s=by_s)
            if len(self._policies) + len(fresh) > POLICIES_MAX:
                self._policies.clear()
            self._policies |= fresh
            numbers |= fresh
        return numbers

    def _number_policies(self, connection: Connection, new: set[Policy]) -> dict[Policy, int]:
        """Each policy is written once, in a transaction of its own, so that nobody waits for its lock."""
        numbers = {}
        for policy in new:
            body = (rows.text(policy),)
            connection.execute(self._sql["insert_policy"], body)
            found = connection.execute(self._sql["policy_number"], body).fetchone()
            assert found is not None
            numbers[policy] = found[0]
        return numbers

    def _read(self, connection: Connection, wanted: Wanted, sheet: Sheet) -> None:
        """Lock and read what a batch wants; in the thread of a lane."""
        about, asked = wanted.questions()
        found: dict[str, Sequence[Any]] = {name: () for name, _ in asked}
        with connection.pipeline():
            _send(connection, "BEGIN")
            if wanted.again:
                _send(connection, f"SET LOCAL lock_timeout = {LOCK_MS_AGAIN}")
            locks = (encoded(about), encoded(sorted(wanted.locks)))
            cursors = {"lock_numbers": _send(connection, self._sql["lock_numbers"], *locks)}
            if wanted.again:
                _send(connection, f"SET LOCAL lock_timeout = {ROW_LOCK_MS_AGAIN}")
            cursors |= {
                name: _send(connection, self._sql[name], encoded(what)) for name, what in asked if what
            }
            for name, cursor in cursors.items():
                found[name] = cursor.fetchall()
        _fill(sheet, found, list(wanted.keys))
        factors = {f for e in sheet.entries.values() if (f := e.verification.particulars.factor) is not None}
        if factors:
            asked_for = encoded({"id": bytes.fromhex(factor)} for factor in factors)
            for row in connection.execute(self._sql["factors_by_id"], (asked_for,)).fetchall():
                sheet.factors[row[0].hex()] = factor_of(row)

    def _keep(self, connection: Connection, sheet: Sheet) -> None:
        """Write what a batch decided, and make it durable; in the thread of a lane."""
        if connection.info.transaction_status is not TransactionStatus.INTRANS:
            raise NotSent("the connection was lost between reading and writing")
        written = [(name, what) for name, what in changes(sheet) if what]
        if not written:
            # After a ROLLBACK psycopg prepares everything anew; but a careful batch may have opened accounts.
            _send(connection, "ROLLBACK" if sheet.balances else "COMMIT")
            return
        with connection.pipeline() as pipeline:
            charged = []
            for name, what in written:
                sets: tuple[Any, ...] = (encoded(what),)
                if name in ("update_verifications", "update_messages"):
                    sets += (self._octets_max,)
                cursor = _send(connection, self._sql[name], *sets)
                if name in ("put_accounts", "put_spends"):
                    charged.append((cursor, len(what)))
            if sheet.caps:
                pipeline.sync()
                if any(cursor.rowcount != wanted for cursor, wanted in charged):
                    raise _CapReached(sheet.charges.keys())
            if sheet.rings:
                _send(connection, self._sql["ring"])
            _send(connection, "COMMIT")


def _send(connection: Connection, statement: str, *values: Any) -> psycopg.Cursor[Any]:
    """Send a statement in a pipeline, prepared from the first time on.

    What is prepared later, in a pipeline that fails before it comes to that, psycopg takes for prepared
    (`maybe_add_to_cache`, 3.3), and the server does not know it when it comes again.
    """
    return connection.execute(statement, values, prepare=True)


def _tell_behind(batch: Sequence[_Waiting]) -> None:
    behind = Overloaded("The database is behind.")
    tell([Ran(waiting.future, None, behind) for waiting in batch])


def _act(waiting: _Waiting, sheet: Sheet) -> Ran | None:
    """Do an operation; None has it come again, with what it turned out to want."""
    try:
        return Ran(waiting.future, waiting.operation.act(sheet), None)
    except NotRead as missing:
        waiting.operation.charge_also(missing.tenant, missing.spend)
    except LookFurther:
        waiting.operation.look_further()
    except Exception as error:
        return Ran(waiting.future, None, error)
    return None


def _fill(sheet: Sheet, found: Mapping[str, Sequence[Any]], keys: Sequence[Any]) -> None:
    """Put what was read on the sheet, but for what came while the locks were waited for."""
    locked = {place for place, _ in found["lock_numbers"]}
    for name in ("held_by_ids", "held_by_messages", "held_by_carriers", "pending_of_numbers"):
        for i, *row in found[name]:
            held = rows.readable(row)
            if held is None or int(held.verification.msisdn) not in locked:
                continue
            sheet.read(held, row[0])
            if name == "held_by_carriers" and held.message is not None:
                sheet.by_carrier[keys[i]] = held.message.key
    for key, fingerprint, answer in found["kept_answers"]:
        sheet.answers[key] = fingerprint, answer
    for row in found["sends_to_numbers"]:
        for send in rows.sends_of(row):
            sheet.sends[int(send.msisdn)].append(send)
    for row in found["calls_to_numbers"]:
        if (call := rows.call_of(row)) is not None:
            sheet.calls[int(call.msisdn)].append(call)
    for tenant, msisdn, wrong in found["tallies"]:
        sheet.tallies.setdefault((tenant, msisdn), rows.tally_of(wrong))
    for account, day, micros in (*found["lock_spends"], *found["lock_accounts"]):
        sheet.balances[account, day] = micros
