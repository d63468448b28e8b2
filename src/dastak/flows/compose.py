"""Make the code and the text of a message again from what its verification remembers, and keep neither."""

import math
from functools import lru_cache

from dastak.core import codes
from dastak.core.errors import Conflict
from dastak.core.ports import Ports
from dastak.core.template import Wording, render
from dastak.core.tenant import Service
from dastak.core.verification import Particulars, State, Verification
from dastak.sms.segments import Measure, measure


def code_of(ports: Ports, verification: Verification, generation: int) -> str:
    """Return the code a message of this generation carries.

    Raises:
        Conflict: The caller's own code is already erased.
    """
    if verification.own_code_sealed is not None:
        return ports.sealer.unseal(verification.own_code_sealed, bound_to=verification.id).decode()
    if verification.own_code_digest is not None:
        raise Conflict("The caller's own code was erased after its last submit.")
    return codes.derive(
        ports.keys.key(verification.key_id),
        verification_id=verification.id,
        generation=generation,
        length=verification.policy.length,
        alphabet=verification.policy.alphabet,
    )


def match_number_of(ports: Ports, verification: Verification) -> str | None:
    """Return the number that the page shows now; None where there is none, or it is over."""
    if not verification.particulars.match or verification.state is not State.PENDING:
        return None
    return codes.match_number(
        ports.keys.key(verification.key_id),
        verification_id=verification.id,
        generation=verification.generation,
    )


def wording_of(verification: Verification, service: Service) -> Wording:
    """Return what the text says, but for the code.

    Raises:
        InvalidRequest: A value may not stand in a text.
    """
    return _wording(verification.particulars, service.brand, verification.policy.ttl_s)


# Most verifications of a service say the same, and each is asked for twice: to measure and to send.
@lru_cache(maxsize=4096)
def _wording(said: Particulars, brand: str, ttl_s: int) -> Wording:
    return Wording(
        locale=said.locale,
        brand=brand,
        purpose=said.purpose,
        minutes=math.ceil(ttl_s / 60),
        amount=said.amount,
        currency=said.currency,
        payee=said.payee,
        domain=said.domain,
        app_hash=said.app_hash,
    )


def text_of(ports: Ports, verification: Verification, code: str) -> str:
    """Return the whole text of a message that carries a code."""
    return render(wording_of(verification, ports.service_of(verification.service)), code)


@lru_cache(maxsize=4096)
def measure_wording(wording: Wording, code_characters: int) -> Measure:
    """Return alphabet and segments of a text before it is sent; all codes of one length measure alike."""
    return measure(render(wording, "0" * code_characters))


def segments_of(ports: Ports, verification: Verification) -> int:
    """Return how many short messages the text of a verification takes."""
    wording = wording_of(verification, ports.service_of(verification.service))
    return measure_wording(wording, verification.policy.length).segments
