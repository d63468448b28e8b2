"""Whether calls can leave as their services want them, and as the country they go to demands."""

from collections.abc import Sequence
from typing import Final

from dastak.commands.checks.diagnosis import Check, Fault, Scene
from dastak.core.callers import indian, is_service
from dastak.core.carrier import SPEAKING, Carrier
from dastak.core.policy import Channel
from dastak.core.tenant import Service

INDIA: Final = "IN"


def has_trunks(scene: Scene) -> bool:
    """Apply where there is a carrier of calls."""
    return scene.tenancy is not None and bool(_trunks(scene))


def callers(scene: Scene) -> Fault | None:
    """Find services whose calls no trunk may carry for the number they come from."""
    trunks = _trunks(scene)
    for service in _calling(scene):
        name, wanted = service.name, service.calls.caller
        if wanted and not any(wanted in _callers(trunk) for trunk in trunks):
            return Fault(
                f"the service {name} calls from {wanted}, which no trunk was allotted",
                f"dastak carrier set {trunks[0].name} --set 'callers=[\"{wanted}\"]' --why 'allotted on …'",
            )
        if INDIA not in service.countries:
            continue
        shown = [caller for trunk in trunks if _serves_india(trunk) for caller in _callers(trunk)]
        shown = [caller for caller in shown if not wanted or caller == wanted]
        add = f"dastak carrier set {trunks[0].name} --set caller=+911600… --why 'allotted on …'"
        if not any(map(indian, shown)):
            return Fault(
                f"no trunk has an Indian number for the calls of the service {name}", add, warning=True
            )
        if service.calls.bfsi and not any(map(is_service, shown)):
            return Fault(f"the service {name} is a bank's, and no trunk has a number of 1600 or 1601", add)
    return None


def auto_dialler(scene: Scene) -> Fault | None:
    """Find trunks in India whose operator was not told that a program dials."""
    silent = [
        trunk.name
        for trunk in _trunks(scene)
        if _serves_india(trunk)
        and any(map(indian, _callers(trunk)))
        and not trunk.settings.get("auto_dialler_declared_on")
    ]
    if not silent:
        return None
    what = f"auto_dialler_declared_on of the carrier {silent[0]} is empty"
    command = (
        f"dastak carrier set {silent[0]} --set auto_dialler_declared_on=2026-11-20 --why 'letter of that day'"
    )
    return Fault(what, command, warning=True)


def _trunks(scene: Scene) -> Sequence[Carrier]:
    return [carrier for carrier in scene.stored if carrier.kind in SPEAKING]


def _calling(scene: Scene) -> Sequence[Service]:
    assert scene.tenancy is not None
    return [one for one in scene.tenancy.services if Channel.VOICE in one.policy.channels]


def _callers(trunk: Carrier) -> tuple[str, ...]:
    return (str(trunk.settings.get("caller", "")), *trunk.settings.get("callers", ()))


def _serves_india(trunk: Carrier) -> bool:
    return not trunk.lane.countries or INDIA in trunk.lane.countries


CHECKS: Final = (
    Check(
        "calls.callers",
        "every service has a trunk with a number that its calls may come from",
        "its calls are refused or not made: operators drop or fine them",
        callers,
        applies=has_trunks,
    ),
    Check(
        "calls.auto_dialler",
        "operators in India know that a program dials",
        "they may cut the trunk off: automatic diallers must be declared to them before",
        auto_dialler,
        applies=has_trunks,
    ),
)
