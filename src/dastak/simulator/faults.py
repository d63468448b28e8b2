"""What goes wrong in the simulated carrier: faults as data, and the fate they give to each message.

1. All chance comes from the one `Random` handed in: same faults, seed and messages, same fates.
2. The first fault that matches decides; then `MAGIC`; then what is usual.
"""

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from dastak.core.errors import InvalidRequest
from dastak.simulator.call_faults import CallFate, CallFault, CallScript, draw_call
from dastak.simulator.delays import Delay, Seconds, Share, draw_delay, hits
from dastak.sms.receipt_codes import STAT_OUTCOMES
from dastak.sms.smpp_codes import Status

FAULTS_MAX: Final = 200
COPIES_MAX: Final = 20

# Everything, one value, or one star at an end: "+12025550101", "+1202*", "*0101".
Pattern: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^(\*?[^*]+|[^*]*\*)$", max_length=40)]


class IdForm(StrEnum):
    """How a message_id is written."""

    HEXADECIMAL = "hexadecimal"
    DECIMAL = "decimal"
    USELESS = "useless"  # the same word for every message, as OsmoMSC does


class Echo(StrEnum):
    """How a receipt gives back the user_message_reference."""

    WHOLE = "whole"
    LOW = "low"  # its low 8 bits, as OsmoMSC does
    NONE = "none"


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How messages to some numbers over some accounts are treated. The default is a carrier without a fault.

    Attributes:
        number: Which destinations.
        account: Which system_ids.
        response: From submit_sm to its answer.
        arrival: From the answer to the phone.
        receipt: From the phone to the receipt.
        status: Refuse with this command_status, a `status_share` of them.
        throttle: Refuse this share with ESME_RTHROTTLED.
        silent: Never answer this share.
        drop_link: Cut the connection instead of answering this share.
        blackhole: Fall silent for ever, with the connection open, on this share.
        loss: Accept this share and forget it.
        false_receipt: Say of this share that it was delivered, and forget it.
        missing_receipt: Bring this share to the phone, and tell nobody.
        duplicates: So many receipts more than one.
        receipt_first: The receipt goes out before the answer.
        shuffle_s: Delay each receipt by up to so much more, so that they overtake each other.
        stat: What the receipt says; what is not DELIVRD does not reach the phone.
        err: The reason in the receipt.
        response_id: How the answer writes the message_id.
        receipt_id: How the receipt writes it.
        reference: How the receipt gives back the user_message_reference.
        literal_dates: The receipt's dates are the letters of the format, as OsmoMSC writes them.
        unanswered: Take this share as usual, and never answer.
        garbage: Over HTTP, take this share as usual, and answer what nobody can read.
        http_status: Over HTTP, refuse with this status, a `status_share` of them; over SMPP ESME_RSYSERR.
        vendor_code: What the vendor's own code in a refusal or a receipt over HTTP is.
        call: What happens to calls, or in short what the phone does when it is called.
    """

    number: Pattern = "*"
    account: Pattern = "*"
    response: Delay = 0.0
    arrival: Delay = 0.0
    receipt: Delay = 0.0
    status: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] = 0
    status_share: Share = 1.0
    throttle: Share = 0.0
    silent: Share = 0.0
    drop_link: Share = 0.0
    blackhole: Share = 0.0
    loss: Share = 0.0
    false_receipt: Share = 0.0
    missing_receipt: Share = 0.0
    duplicates: Annotated[int, msgspec.Meta(ge=0, le=COPIES_MAX)] = 0
    receipt_first: bool = False
    shuffle_s: Seconds = 0.0
    stat: str = "DELIVRD"
    err: Annotated[str, msgspec.Meta(max_length=20)] = "000"
    response_id: IdForm = IdForm.HEXADECIMAL
    receipt_id: IdForm = IdForm.HEXADECIMAL
    reference: Echo = Echo.WHOLE
    literal_dates: bool = False
    unanswered: Share = 0.0
    garbage: Share = 0.0
    http_status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    vendor_code: Annotated[str, msgspec.Meta(max_length=20)] = ""
    call: CallFate | CallFault = CallFate.RING


_Faults: TypeAlias = Annotated[tuple[Fault, ...], msgspec.Meta(max_length=FAULTS_MAX)]

# The first route of the simulator binds as an account whose name ends in 1.
_FIRST_ROUTE: Final = "*1"
# +1 202 555 0100 to 0199 are set aside for fiction, so nobody has these numbers.
MAGIC: Final[Mapping[str, Fault]] = {
    "+12025550100": Fault(),
    "+12025550101": Fault(stat="UNDELIV", err="027"),  # absent subscriber
    "+12025550102": Fault(stat="UNDELIV", err="001"),  # unknown subscriber
    "+12025550103": Fault(account=_FIRST_ROUTE, status=Status.ESME_RSYSERR),  # another route delivers
    "+12025550104": Fault(missing_receipt=1.0),
    "+12025550105": Fault(stat="REJECTD", err="633"),  # DLT: the template does not match
    "+12025550106": Fault(arrival=8.0),
    "+12025550107": Fault(),  # the fraud guard stops it before it comes here
    "+12025550108": Fault(duplicates=1),
    "+12025550109": Fault(receipt_first=True),
    # Texts that do not arrive, so that the phone is called.
    "+12025550110": Fault(stat="REJECTD", err="633", call=CallFate.BUSY),
    "+12025550111": Fault(stat="REJECTD", err="633", call=CallFate.DECLINE),
    "+12025550112": Fault(
        stat="REJECTD", err="633", call=CallFault(does=CallFate.VOICEMAIL, keys="1234567890")
    ),
    "+12025550113": Fault(stat="REJECTD", err="633", call=CallFate.UNREACHABLE),
    "+12025550114": Fault(stat="REJECTD", err="633", call=CallFate.NO_ANSWER),
    "+12025550115": Fault(
        stat="REJECTD",
        err="633",
        call=CallFault(does=CallFate.ANSWER, loss_to_phone=1.0, loss_from_phone=1.0),
    ),
    "+12025550116": Fault(stat="REJECTD", err="633", call=CallFault(early_media=True)),
}


class Answer(StrEnum):
    """What a submit_sm, or a request over HTTP, meets."""

    RESPONSE = "response"
    UNANSWERED = "unanswered"  # taken, and nobody is told
    GARBAGE = "garbage"  # taken, and told in no language
    SILENCE = "silence"
    DROPPED_LINK = "dropped_link"
    BLACKHOLE = "blackhole"


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one message.

    Attributes:
        command_status: Zero accepts it.
        response_s: From submit_sm to the answer.
        arrival_s: From the answer to the phone; None when it never gets there.
        receipts_s: From the answer to each receipt.
        stat: What the receipts say.
        http_status: How a refusal is answered over HTTP; None lets it follow from `command_status`.
        vendor_code: The vendor's own code; empty lets it follow from what happened.
    """

    answer: Answer = Answer.RESPONSE
    command_status: int = 0
    response_s: float = 0.0
    arrival_s: float | None = None
    receipts_s: tuple[float, ...] = ()
    receipt_first: bool = False
    stat: str = "DELIVRD"
    err: str = "000"
    response_id: IdForm = IdForm.HEXADECIMAL
    receipt_id: IdForm = IdForm.HEXADECIMAL
    reference: Echo = Echo.WHOLE
    literal_dates: bool = False
    http_status: int | None = None
    vendor_code: str = ""


# What happens where no fault matches: accepted, shown and reported at once.
USUAL: Final = Fate(arrival_s=0.0, receipts_s=(0.0,))


class FaultScript:
    """The faults in force.

    Args:
        chance: The only source of chance.
        usual: What happens to a message that no fault matches.

    Attributes:
        faults: May be replaced at any time.
    """

    def __init__(self, chance: Random, *, faults: tuple[Fault, ...] = (), usual: Fate = USUAL) -> None:
        self.faults = faults
        self._chance = chance
        self._usual = usual

    def call_to(self, msisdn: str) -> CallScript:
        """Decide what happens to one call."""
        found = (fault for fault in self.faults if _matches(fault.number, msisdn))
        call = next(found, MAGIC.get(msisdn) or Fault()).call
        return draw_call(CallFault(does=call) if isinstance(call, CallFate) else call, self._chance)

    def fate_of(self, msisdn: str, account: str) -> Fate:
        """Decide what happens to one message."""
        for fault in self.faults:
            if _matches(fault.number, msisdn) and _matches(fault.account, account):
                return draw_fate(fault, self._chance)
        magic = MAGIC.get(msisdn)
        if magic is not None and _matches(magic.account, account):
            return draw_fate(magic, self._chance)
        return self._usual


def parse_faults(document: object) -> tuple[Fault, ...]:
    """Read faults from plain lists and dictionaries, as JSON gives them.

    Raises:
        InvalidRequest: Something is not known or out of its range; the sentence says where.
    """
    try:
        faults: tuple[Fault, ...] = msgspec.convert(document, _Faults)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The faults are not valid: {error}", field="faults") from error
    for fault in faults:
        if fault.stat not in STAT_OUTCOMES:
            known = ", ".join(STAT_OUTCOMES)
            raise InvalidRequest(f"No receipt says {fault.stat!r}; it may say {known}", field="faults")
    return faults


def plain_faults(faults: tuple[Fault, ...]) -> Any:
    """Write faults as plain lists and dictionaries; what is not said is as without a fault."""
    return msgspec.to_builtins(list(faults))


def draw_fate(fault: Fault, chance: Random) -> Fate:
    """Draw what one fault does to one message."""
    response_s = draw_delay(fault.response, chance)
    for answer, share in (
        (Answer.DROPPED_LINK, fault.drop_link),
        (Answer.BLACKHOLE, fault.blackhole),
        (Answer.SILENCE, fault.silent),
    ):
        if hits(share, chance):
            return Fate(answer=answer, response_s=response_s)
    if hits(fault.throttle, chance):
        return Fate(command_status=Status.ESME_RTHROTTLED, response_s=response_s)
    if (fault.status or fault.http_status) and hits(fault.status_share, chance):
        return Fate(
            command_status=fault.status or Status.ESME_RSYSERR,
            response_s=response_s,
            http_status=fault.http_status,
            vendor_code=fault.vendor_code,
        )
    arrival_s = draw_delay(fault.arrival, chance)
    lost = hits(fault.loss, chance)
    lied = hits(fault.false_receipt, chance)
    untold = hits(fault.missing_receipt, chance)
    shown = fault.stat == "DELIVRD" and not lost and not lied
    copies = 0 if lost or untold else 1 + fault.duplicates
    return Fate(
        answer=_manner(fault, chance),
        response_s=response_s,
        arrival_s=arrival_s if shown else None,
        receipts_s=tuple(_receipt_s(fault, arrival_s, chance) for _ in range(copies)),
        receipt_first=fault.receipt_first,
        stat=fault.stat,
        err=fault.err,
        response_id=fault.response_id,
        receipt_id=fault.receipt_id,
        reference=fault.reference,
        literal_dates=fault.literal_dates,
        vendor_code=fault.vendor_code,
    )


def _manner(fault: Fault, chance: Random) -> Answer:
    """Draw how a message that is taken is answered."""
    for answer, share in ((Answer.UNANSWERED, fault.unanswered), (Answer.GARBAGE, fault.garbage)):
        if hits(share, chance):
            return answer
    return Answer.RESPONSE


def _receipt_s(fault: Fault, arrival_s: float, chance: Random) -> float:
    return (
        arrival_s
        + draw_delay(fault.receipt, chance)
        + (chance.uniform(0, fault.shuffle_s) if fault.shuffle_s else 0)
    )


def _matches(pattern: str, value: str) -> bool:
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    return value == pattern
