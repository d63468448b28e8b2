"""What an operator does with carriers: add, change, drain, restore and remove them, each with a reason.

1. The admin API and the command line both come here, so one rule holds for both.
2. Every act is one line of the carrier's history: who, what, why, before and after. No secret stands there.
3. Of two acts on one reading the second is refused, and nothing is lost unseen.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from dastak.carriers.carrier_kinds import KINDS, read_settings
from dastak.carriers.trial_report import Report, summary
from dastak.core.carrier import (
    CARRIERS_MAX,
    Carrier,
    CarrierChange,
    CarrierKind,
    CarrierState,
    Lane,
)
from dastak.core.carrier_store import CarrierStore
from dastak.core.errors import Conflict, InvalidRequest, NotFound
from dastak.core.ports import Once, Replayed
from dastak.core.sealer import Sealer

NAME_CHARACTERS_MAX: Final = 40
WHY_CHARACTERS_MAX: Final = 200
SETTINGS_OCTETS_MAX: Final = 16 * 1024
# Names that the carrier in the box has.
RESERVED: Final = re.compile(r"sim_\d+")

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something, when, and why."""

    who: str
    why: str
    at: datetime
    once: Once | None = None


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What shall change; what is None stays.

    Attributes:
        settings: Some of them; one that is given as None goes back to its default.
        lane: Some of its fields.
    """

    settings: Mapping[str, Any] | None = None
    lane: Mapping[str, Any] | None = None
    state: CarrierState | None = None


class CarrierBook:
    """The carriers in the database, with their secrets within reach.

    Args:
        fixed: The carriers of the settings file; their names are taken, and they change there.
    """

    def __init__(self, store: CarrierStore, sealer: Sealer, *, fixed: tuple[str, ...] = ()) -> None:
        self._store = store
        self._sealer = sealer
        self._fixed = fixed

    async def listed(self) -> tuple[Carrier, ...]:
        """Return all carriers of the database."""
        return (await self._store.carriers()).carriers

    async def find(self, name: str) -> Carrier:
        """Return a carrier by its name. Raises: NotFound."""
        for carrier in await self.listed():
            if carrier.name == name:
                return carrier
        if name in self._fixed:
            raise Conflict(f"The carrier {name!r} stands in the settings file; change it there and restart.")
        raise NotFound(f"There is no carrier {name[:NAME_CHARACTERS_MAX]!r}.")

    def revealed(self, carrier: Carrier) -> dict[str, Any]:
        """Return a carrier's settings with its secrets.

        Raises:
            DastakError: They were sealed under a key that is gone.
        """
        return revealed(carrier, self._sealer)

    async def add(self, name: str, kind: CarrierKind, wish: Wish, act: Act) -> Carrier:
        """Add a carrier; a running server connects to it within a second.

        Raises:
            InvalidRequest: The name or the settings are not valid.
            Conflict: The name is taken.
        """
        _check_name(name)
        if kind not in KINDS:
            raise InvalidRequest(f"This version knows no carriers of kind {kind}.", field="kind")
        if name in self._fixed:
            raise Conflict(f"There is a carrier {name!r} in the settings file; choose another name.")
        if len(await self.listed()) >= CARRIERS_MAX:
            raise Conflict(f"There are {CARRIERS_MAX} carriers already; remove one first.")
        carrier = Carrier(
            name=name, kind=kind, lane=_lane(Lane(), wish.lane or {}), state=wish.state or CarrierState.ACTIVE
        )
        fresh = self._with_settings(carrier, wish.settings or {})
        return await self._put(fresh, "added", act, after=_shown(fresh))

    async def change(self, name: str, wish: Wish, act: Act) -> Carrier:
        """Change a carrier: how to reach it, what it takes, whether it is used.

        Raises:
            NotFound: There is none.
            Conflict: It changed meanwhile.
            InvalidRequest: A value is not valid, nothing changes, or no reason is given.
        """
        carrier = changed = await self.find(name)
        if wish.settings is not None:
            merged = {**self.revealed(carrier), **wish.settings}
            given = {key: value for key, value in merged.items() if value is not None}
            changed = self._with_settings(changed, given)
        if wish.lane is not None:
            changed = msgspec.structs.replace(changed, lane=_lane(carrier.lane, wish.lane))
        if wish.state is not None:
            changed = msgspec.structs.replace(changed, state=wish.state, reason=act.why)
        what = "+".join(part for part in ("settings", "lane", "state") if getattr(wish, part) is not None)
        if not what:
            raise InvalidRequest("Nothing is to be changed; give `settings`, `lane` or `state`.")
        return await self._put(changed, what, act, before=_shown(carrier), after=_shown(changed))

    async def remove(self, name: str, act: Act) -> None:
        """Remove a carrier that takes nothing any more; its history stays.

        Raises:
            NotFound: There is none.
            Conflict: It is still active.
        """
        carrier = await self.find(name)
        if carrier.state is CarrierState.ACTIVE:
            raise Conflict(f"The carrier {name!r} is active; drain it first.")
        change = _line(carrier, "removed", act, before=_shown(carrier))
        await self._store.remove_carrier(change, once=act.once)

    async def note_trial(self, report: Report, act: Act) -> Report | Replayed:
        """Have the history say that a carrier was tried, and what came of it; return the report."""
        after = msgspec.json.encode({"delivered": report.delivered, "outcome": report.outcome}).decode()
        change = CarrierChange(
            carrier=report.carrier,
            at=act.at,
            who=act.who,
            what="tested",
            why=summary(report)[:WHY_CHARACTERS_MAX],
            after=after,
        )
        noted: Report | Replayed = await self._store.note_change(change, answer=report, once=act.once)
        return noted

    async def history(self, name: str, *, limit: int = 50) -> tuple[CarrierChange, ...]:
        """Return what was done to a carrier, newest first. Raises: NotFound (there never was one)."""
        history = await self.lines(name, limit=limit)
        if not history:
            raise NotFound(f"There is no carrier {name[:NAME_CHARACTERS_MAX]!r}.")
        return history

    async def lines(self, name: str, *, limit: int) -> tuple[CarrierChange, ...]:
        """Return the same, and nothing where nothing was done."""
        return await self._store.carrier_history(name, limit=limit)

    def _with_settings(self, carrier: Carrier, settings: Mapping[str, Any]) -> Carrier:
        """Check settings and put their secrets apart."""
        read_settings(carrier.kind, settings)
        secrets = {name: settings[name] for name in KINDS[carrier.kind].secrets if name in settings}
        plain = {name: value for name, value in settings.items() if name not in secrets}
        if len(msgspec.json.encode(settings)) > SETTINGS_OCTETS_MAX:
            raise InvalidRequest("The settings are too long.", field="settings")
        sealed = self._sealer.seal(msgspec.json.encode(secrets), bound_to=_bound_to(carrier.name))
        return msgspec.structs.replace(carrier, settings=plain, sealed=sealed if secrets else b"")

    async def _put(
        self, carrier: Carrier, what: str, act: Act, *, before: str = "", after: str = ""
    ) -> Carrier:
        change = _line(carrier, what, act, before=before, after=after)
        return await self._store.put_carrier(carrier, change, once=act.once)


def revealed(carrier: Carrier, sealer: Sealer) -> dict[str, Any]:
    """Return a carrier's settings with its secrets. Raises: DastakError (sealed under a key that is gone)."""
    if not carrier.sealed:
        return dict(carrier.settings)
    clear = sealer.unseal(carrier.sealed, bound_to=_bound_to(carrier.name))
    return {**carrier.settings, **msgspec.json.decode(clear)}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > NAME_CHARACTERS_MAX or RESERVED.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot be a carrier's name: write up to {NAME_CHARACTERS_MAX} lower-case letters, "
            "digits and single _, a letter first; sim_1, sim_2 and so on are taken.",
            field="name",
        )


def _lane(lane: Lane, fields: Mapping[str, Any]) -> Lane:
    try:
        return msgspec.convert({**msgspec.to_builtins(lane), **fields}, Lane)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The lane is not valid: {error}.", field="lane") from error


def _line(carrier: Carrier, what: str, act: Act, *, before: str = "", after: str = "") -> CarrierChange:
    why = act.why.strip()
    if not why or len(why) > WHY_CHARACTERS_MAX:
        raise InvalidRequest(
            f"Say why, in up to {WHY_CHARACTERS_MAX} characters; who comes after you will ask.", field="why"
        )
    return CarrierChange(
        carrier=carrier.name, at=act.at, who=act.who, what=what, why=why, before=before, after=after
    )


def _shown(carrier: Carrier) -> str:
    shown = {"settings": carrier.settings, "lane": carrier.lane, "state": carrier.state}
    return msgspec.json.encode(shown).decode()


def _bound_to(name: str) -> bytes:
    return b"carrier:" + name.encode()
