"""Factors in the database: one row each; the row of one that is removed stays, without its secret."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import msgspec

from dastak.core import factor as rules
from dastak.core.errors import Conflict, NotFound
from dastak.core.factor import FACTORS_PER_NUMBER_MAX, Factor, FactorState
from dastak.core.hash_chain import Chain
from dastak.core.ids import FactorId
from dastak.core.lockout import CLEAN, Tally
from dastak.core.msisdn import Msisdn
from dastak.core.oath import DIGITS_MIN, STEP_S, HashFunction
from dastak.core.policy import Channel
from dastak.core.ports import Once
from dastak.core.tenant import Mode
from dastak.store import rows
from dastak.store.desk import Desk, Execute

# These numbers are in databases: never change one, only add.
_STATES: Final = (FactorState.PENDING, FactorState.ACTIVE, FactorState.REMOVED)
assert set(_STATES) == set(FactorState)


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What stands in the column `record`."""

    kind: Channel
    created_at: datetime
    label: str = ""
    digits: int = DIGITS_MIN
    hash_function: HashFunction = HashFunction.SHA1
    step_s: int = STEP_S
    last: int = -1
    drift_steps: int = 0
    chain: Chain | None = None
    tally: Tally = CLEAN


_RECORD: Final = msgspec.json.Decoder(_Record)
_FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(_Record))


class FactorTables:
    """The port `FactorStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def put_factor(self, factor: Factor, *, once: Once | None = None) -> Factor:
        """See `FactorStore.put_factor`."""
        return await self._desk.write(partial(_put, factor), once=once)

    async def find_factor(self, tenant: int, factor_id: FactorId) -> Factor:
        """See `FactorStore.find_factor`."""
        return await self._desk.read(partial(_find, tenant, factor_id))

    async def factors_of(self, tenant: int, mode: Mode, msisdn: Msisdn) -> Sequence[Factor]:
        """See `FactorStore.factors_of`."""
        return await self._desk.read(partial(_of_number, tenant, mode, msisdn))

    async def move_factor(
        self,
        tenant: int,
        factor_id: FactorId,
        rule: Callable[[Factor], Factor],
        *,
        once: Once | None = None,
    ) -> Factor:
        """See `FactorStore.move_factor`."""

        def move(execute: Execute) -> Factor:
            moved = rule(_find(tenant, factor_id, execute, "factor_to_move"))
            execute("keep_factor", kept_row(moved))
            return moved

        return await self._desk.write(move, once=once)


def _put(factor: Factor, execute: Execute) -> Factor:
    tenant, msisdn, mode = factor.tenant, int(factor.msisdn), rows.MODES[factor.mode]
    chain_seed = None if factor.chain is None else factor.chain.seed
    if execute("has_chain_seed", (tenant, msisdn, mode, chain_seed)).fetchone() is not None:
        raise Conflict("This number had a printed list with this seed before; take another one.")
    _make_room(_of_number(tenant, factor.mode, factor.msisdn, execute), execute)
    _, state, sealed, record = kept_row(factor)
    execute("insert_factor", (factor.id, tenant, mode, msisdn, state, chain_seed, sealed, record))
    return factor


def _make_room(newest_first: Sequence[Factor], execute: Execute) -> None:
    """Have the oldest factor that nobody proved give way, where a number has as many as it may have."""
    if len(newest_first) < FACTORS_PER_NUMBER_MAX:
        return
    for waiting in (one for one in reversed(newest_first) if one.state is FactorState.PENDING):
        # A check may have proved it since it was read.
        now = _find(waiting.tenant, waiting.id, execute, "factor_to_move")
        if now.state is FactorState.PENDING:
            execute("keep_factor", kept_row(rules.remove(now)))
            return
    raise Conflict(f"A number has at most {FACTORS_PER_NUMBER_MAX} factors; remove what nobody uses.")


def _find(tenant: int, factor_id: FactorId, execute: Execute, by: str = "factor_by_id") -> Factor:
    row = execute(by, (factor_id,)).fetchone()
    if row is None or row[1] != tenant:
        raise NotFound("There is no such factor.")
    return factor_of(row)


def _of_number(tenant: int, mode: Mode, msisdn: Msisdn, execute: Execute) -> Sequence[Factor]:
    asked = (tenant, int(msisdn), rows.MODES[mode], FACTORS_PER_NUMBER_MAX)
    return [factor_of(row) for row in execute("factors_of", asked).fetchall()]


def remove_factor(factor_id: bytes, execute: Execute) -> None:
    """Take a seed away with its person; one that a customer's own program removed is gone already."""
    row = execute("factor_to_move", (factor_id,)).fetchone()
    if row is not None:
        execute("keep_factor", kept_row(rules.remove(factor_of(row))))


def factor_of(row: rows.Row) -> Factor:
    """Read a row of `factor_by_id`."""
    factor_id, tenant, mode, msisdn, state, sealed, record = row
    said = _RECORD.decode(record)
    return Factor(
        id=FactorId(factor_id),
        tenant=tenant,
        mode=rows.mode_of(mode),
        msisdn=Msisdn(f"+{msisdn}"),
        state=_STATES[state],
        sealed=sealed,
        **{name: getattr(said, name) for name in _FIELDS},
    )


def kept_row(factor: Factor) -> rows.Row:
    """Return what `keep_factor` takes."""
    record = _Record(**{name: getattr(factor, name) for name in _FIELDS})
    return factor.id, _STATES.index(factor.state), factor.sealed, rows.text(record)
