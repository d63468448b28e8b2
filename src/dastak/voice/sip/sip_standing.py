"""How a trunk stands, in words: whether it can be called, as far as is known, and why."""

from typing import Final, NamedTuple

from dastak.voice.sip.sip_endpoint import SipEndpoint
from dastak.voice.sip.sip_probe import Reached
from dastak.voice.sip.sip_registration import Registered, Registration

# The reason until the trunk said something or could not be reached.
NOT_YET: Final = "not asked yet"


class Standing(NamedTuple):
    """Whether a trunk can be called, and why."""

    available: bool
    reason: str


def standing(fault: str, endpoint: SipEndpoint | None, *, registers: bool, silence_s: float) -> Standing:
    """Return how a trunk stands.

    Args:
        fault: Why there is no connection; empty where there is one, or it is about to be tried for.
        endpoint: None before the first connection.
        registers: Whether the trunk wants us in its book.
        silence_s: How long it may be silent.
    """
    if fault or endpoint is None:
        return Standing(False, fault or NOT_YET)
    if registers and (endpoint.registration is None or endpoint.registration.state is not Registered.YES):
        return Standing(False, _unregistered(endpoint.registration))
    probe = endpoint.probe
    if probe is None:
        return Standing(True, "the trunk is not asked whether it is there")
    if probe.state is Reached.SILENT:
        return Standing(False, f"OPTIONS was not answered within {silence_s:g} s")
    if probe.state is Reached.UNKNOWN:
        return Standing(False, NOT_YET)
    return Standing(True, f"OPTIONS was answered with SIP {probe.status} in {probe.took_s * 1000:.0f} ms")


def marks(fault: str, endpoint: SipEndpoint | None) -> tuple[object, ...]:
    """Return what the standing depends on, cheap enough to be compared after every packet."""
    registration = endpoint.registration if endpoint else None
    probe = endpoint.probe if endpoint else None
    asked = (probe.state, probe.status, probe.silences) if probe else ()
    return (fault, registration.state if registration else None, *asked)


def _unregistered(registration: Registration | None) -> str:
    if registration is not None and registration.state is Registered.REFUSED:
        return f"the trunk refuses our REGISTER: SIP {registration.status}"
    if registration is not None and registration.state is Registered.SILENT:
        return "REGISTER was not answered"
    return NOT_YET
