"""One SMPP carrier as a route: texts become submit_sm, deliver_sm become receipts."""

import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from dastak.core.message import CarrierRef, MessageKey, Receipt
from dastak.core.ports import Outgoing
from dastak.sms import gsm7
from dastak.sms.bind_group import BindGroup, BindView, Count
from dastak.sms.dlr import is_receipt, normal_id, parse_dlr
from dastak.sms.esme import BindState
from dastak.sms.segments import split
from dastak.sms.smpp_codes import ESM_UDHI, Status
from dastak.sms.smpp_settings import SmppSettings
from dastak.sms.submission import Delivery, Submission

DATA_CODING_DEFAULT: Final = 0
DATA_CODING_UCS2: Final = 8

# Tells whether a receipt is durable; if not, the carrier shall bring it again.
TakeReceipt = Callable[[Receipt, Callable[[bool], None]], None]

# Who runs this must learn of a lost bind without asking, and of refused credentials at once.
_LEVELS: Final = {
    BindState.BOUND: logging.INFO,
    BindState.DOWN: logging.WARNING,
    BindState.REFUSED: logging.ERROR,
}

log = logging.getLogger("dastak.smpp")


class SmppRoute:
    """The binds to one carrier, kept up while the context lasts."""

    def __init__(self, name: str, settings: SmppSettings, take_receipt: TakeReceipt) -> None:
        self.name = name
        self._take_receipt = take_receipt
        self._told: dict[str, str] = {}
        self._stopping = False
        self._group = BindGroup(settings, on_deliver=self._on_deliver, on_state=self._on_state)

    async def __aenter__(self) -> Self:
        """Begin to bind."""
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what is under way end, and unbind."""
        self._stopping = True
        await self._group.__aexit__(kind, error, trace)

    @property
    def available(self) -> bool:
        """Whether a bind is up that can send."""
        return self._group.available

    @property
    def reason(self) -> str:
        """Which binds are up, and why one is not, in words."""
        return self._group.reason

    @property
    def in_flight(self) -> int:
        """How many messages wait for the carrier's answer."""
        return self._group.in_flight

    @property
    def counts(self) -> Mapping[Count, int]:
        """What became of the messages since the start."""
        return self._group.counts

    def binds(self) -> tuple[BindView, ...]:
        """Return every bind as it stands."""
        return self._group.binds()

    async def wait_bound(self) -> None:
        """Return as soon as a bind is up that can send."""
        await self._group.wait_bound()

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        """Hand a text over, in as many parts as it needs; the id of the last part stands for it.

        Raises:
            CarrierRejected: The carrier said no.
            CarrierUnavailable: No answer; with `outcome_unknown` it may have it.
        """
        # One alphabet for all parts, or a phone could not join them.
        plain = gsm7.first_foreign(outgoing.text) is None
        parts = split(outgoing.text)
        reference = _reference(outgoing.key)
        for number, part in enumerate(parts, 1):
            header = bytes((5, 0, 3, reference & 0xFF, len(parts), number)) if len(parts) > 1 else b""
            accepted = await self._group.submit(
                Submission(
                    octets=header + (gsm7.encode(part) if plain else part.encode("utf-16-be")),
                    destination=outgoing.msisdn,
                    sender=outgoing.sender,
                    validity_s=outgoing.validity_s,
                    user_message_reference=reference,
                    data_coding=DATA_CODING_DEFAULT if plain else DATA_CODING_UCS2,
                    esm_class=ESM_UDHI if header else 0,
                )
            )
        return CarrierRef(self.name, normal_id(accepted.message_id))

    def _on_state(self, bind: str, state: BindState, reason: str) -> None:
        """Write down that a bind is up or why it is not, but not again with every try."""
        if self._stopping or reason == self._told.get(bind):
            return
        self._told[bind] = reason
        log.log(_LEVELS[state], "route %s, bind %s is %s: %s", self.name, bind, state, reason)

    def _on_deliver(self, delivery: Delivery) -> None:
        """Hand a receipt on; a text from a phone is taken and forgotten until replies are understood."""
        report = parse_dlr(delivery.sm) if is_receipt(delivery.sm.esm_class) else None
        if report is None or not report.message_id:
            delivery.acknowledge(Status.ESME_ROK)
            return
        receipt = Receipt(
            CarrierRef(self.name, normal_id(report.message_id)),
            report.outcome,
            f"stat:{report.stat} err:{report.err}",
        )
        self._take_receipt(receipt, lambda durable: delivery.acknowledge(_ANSWER[durable]))


_ANSWER: Final = {True: Status.ESME_ROK, False: Status.ESME_RX_T_APPN}


def _reference(key: MessageKey) -> int:
    """Return 16 bits that differ between the messages of one phone."""
    return (int.from_bytes(key.verification[:2], "big") + key.ordinal) & 0xFFFF
