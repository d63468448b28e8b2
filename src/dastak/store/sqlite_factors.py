"""Factors in the SQLite database: one row each; the row of one that is removed stays, without its secret."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import msgspec

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
from dastak.store.group_commit import GroupCommit
from dastak.store.sqlite_file import READING

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


class SqliteFactors:
    """The port `FactorStore`, on the connections of one store."""

    def __init__(
        self,
        group: GroupCommit,
        *,
        once: Callable[[Once | None, Callable[[], Factor]], Factor],
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        sql: Mapping[str, str],
    ) -> None:
        self._group, self._once = group, once
        self._writer, self._reader, self._sql = writer, reader, sql

    async def put_factor(self, factor: Factor, *, once: Once | None = None) -> Factor:
        """See `FactorStore.put_factor`."""
        return await self._group.run(partial(self._once, once, partial(self._put, factor)))

    async def find_factor(self, tenant: int, factor_id: FactorId) -> Factor:
        """See `FactorStore.find_factor`."""
        with READING:
            return self._find(self._reader, tenant, factor_id)

    async def factors_of(self, tenant: int, mode: Mode, msisdn: Msisdn) -> Sequence[Factor]:
        """See `FactorStore.factors_of`."""
        with READING:
            return self._of_number(self._reader, tenant, mode, msisdn)

    async def move_factor(
        self,
        tenant: int,
        factor_id: FactorId,
        rule: Callable[[Factor], Factor],
        *,
        once: Once | None = None,
    ) -> Factor:
        """See `FactorStore.move_factor`."""
        return await self._group.run(partial(self._once, once, partial(self._move, tenant, factor_id, rule)))

    def _put(self, factor: Factor) -> Factor:
        owner = (factor.tenant, int(factor.msisdn), rows.MODES[factor.mode])
        chain_seed = None if factor.chain is None else factor.chain.seed
        known = self._writer.execute(self._sql["has_chain_seed"], (*owner, chain_seed)).fetchone()
        if known is not None:
            raise Conflict("This number had a printed list with this seed before; take another one.")
        has = self._of_number(self._writer, factor.tenant, factor.mode, factor.msisdn)
        if len(has) >= FACTORS_PER_NUMBER_MAX:
            raise Conflict(f"A number has at most {FACTORS_PER_NUMBER_MAX} factors; remove what nobody uses.")
        tenant, msisdn, mode = owner
        _, state, sealed, record = kept_row(factor)
        row = (factor.id, tenant, mode, msisdn, state, chain_seed, sealed, record)
        self._writer.execute(self._sql["insert_factor"], row)
        return factor

    def _move(self, tenant: int, factor_id: FactorId, rule: Callable[[Factor], Factor]) -> Factor:
        moved = rule(self._find(self._writer, tenant, factor_id))
        self._writer.execute(self._sql["keep_factor"], kept_row(moved))
        return moved

    def _find(self, connection: sqlite3.Connection, tenant: int, factor_id: FactorId) -> Factor:
        row = connection.execute(self._sql["factor_by_id"], (factor_id,)).fetchone()
        if row is None or row[1] != tenant:
            raise NotFound("There is no such factor.")
        return factor_of(row)

    def _of_number(
        self, connection: sqlite3.Connection, tenant: int, mode: Mode, msisdn: Msisdn
    ) -> Sequence[Factor]:
        asked = (tenant, int(msisdn), rows.MODES[mode], FACTORS_PER_NUMBER_MAX)
        return [factor_of(row) for row in connection.execute(self._sql["factors_of"], asked).fetchall()]


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
