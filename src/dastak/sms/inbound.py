"""What a carrier brings: receipts, each with the refs of its message, replies, and phones that are back.

Nothing is acknowledged before its owner says that it is durable.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

from dastak.core.message import CarrierRef, Receipt
from dastak.core.outcome import Outcome
from dastak.core.receipt_parts import PartsLedger
from dastak.core.reply import Reply
from dastak.sms.correlation import Correlator, Trace, is_phone_key, phone_key
from dastak.sms.dlr import Dlr, is_receipt, parse_dlr
from dastak.sms.pdu_bodies import AlertNotification
from dastak.sms.replies import ReplyParts, phone_of, read_reply
from dastak.sms.smpp_codes import Status
from dastak.sms.smpp_settings import SmppSettings
from dastak.sms.submission import Delivery

# Told whether a receipt is durable; if not, the carrier shall bring it again.
Acknowledge = Callable[[bool], None]
TakeReceipt = Callable[[Receipt, Acknowledge], None]
TakeReply = Callable[[Reply, Acknowledge], None]
# Told the number of a phone that is back.
OnAlert = Callable[[str], None]

_OPERATOR_DIGITS: Final = (5, 6)  # MCC and MNC

_ANSWER: Final = {True: Status.ESME_ROK, False: Status.ESME_RX_T_APPN}


class _Report(NamedTuple):
    """A receipt that was read."""

    dlr: Dlr
    refs: tuple[str, ...]
    operator: str
    delivery: Delivery


class Inbound:
    """Everything that comes over the binds of one route.

    Args:
        route: Its name.
        settings: Its settings.
        take_receipt: Given every receipt.
        take_reply: Given every text from a phone; without it they are taken and forgotten.
        on_alert: Told of phones that are back.

    Attributes:
        correlator: Computes the refs of messages and receipts.
        parts: The long texts under way.
        unmatched: How many receipts could belong to no message at all, and replies to no number.
    """

    def __init__(
        self,
        route: str,
        settings: SmppSettings,
        *,
        take_receipt: TakeReceipt,
        take_reply: TakeReply | None = None,
        on_alert: OnAlert | None = None,
    ) -> None:
        self.correlator = Correlator(settings.correlation)
        self.parts = PartsLedger()
        self.unmatched = 0
        self._route = route
        self._outcomes = settings.receipt_outcomes
        self._utc_offset = timedelta(minutes=settings.utc_offset_min)
        self._operator_tags = settings.operator_tags
        self._country_code = settings.reply_country_code
        self._reply_parts = ReplyParts()
        self._take_receipt = take_receipt
        self._take_reply = take_reply
        self._on_alert = on_alert

    def on_deliver(self, delivery: Delivery) -> None:
        """Take what a bind heard; it is acknowledged once it is durable."""
        if is_receipt(delivery.sm.esm_class):
            self._on_receipt(delivery)
        elif self._take_reply is None:
            delivery.acknowledge(Status.ESME_ROK)
        else:
            self._on_reply(delivery, self._take_reply)

    def on_alert(self, alert: AlertNotification) -> None:
        """Tell of a phone that is back."""
        msisdn = phone_of(alert.source_addr, alert.source_addr_ton, country_code=self._country_code)
        if self._on_alert is not None and msisdn is not None:
            self._on_alert(msisdn)

    def on_answer(self, ref: str) -> None:
        """Take the answer to a submit as the receipt of its message."""
        receipt = Receipt(CarrierRef(self._route, ref), Outcome.DELIVERED, "submit_sm_resp:ESME_ROK")
        self._take_receipt(receipt, _nobody)

    def release(self, waiting: list[_Report]) -> None:
        """Hand on the receipts that waited for the rest of their text."""
        for report in waiting:
            self._hand_on(report)

    def _on_reply(self, delivery: Delivery, take_reply: TakeReply) -> None:
        whole, given_up = self._reply_parts.add(delivery.sm, delivery)
        _answer(given_up, Status.ESME_RX_T_APPN)
        if whole is None:
            return
        parts: tuple[Delivery, ...] = whole.handles
        reply = read_reply(self._route, delivery.sm, whole.text, country_code=self._country_code)
        if reply is None:
            self.unmatched += 1
            _answer(parts, Status.ESME_ROK)
        else:
            take_reply(reply, lambda durable: _answer(parts, _ANSWER[durable]))

    def _on_receipt(self, delivery: Delivery) -> None:
        sm = delivery.sm
        dlr = parse_dlr(sm, table=self._outcomes, utc_offset=self._utc_offset)
        trace = Trace(dlr.message_id, dlr.user_message_reference, sm.source_addr, sm.destination_addr)
        refs = self.correlator.candidates(trace)
        if not refs:
            # It would come again for ever, and never mean more.
            self.unmatched += 1
            delivery.acknowledge(Status.ESME_ROK)
            return
        operator = self._operator(delivery) if self._operator_tags else ""
        report = _Report(dlr, refs, operator, delivery)
        if not self.parts.waits(refs, phone_key(sm.source_addr), report):
            self._hand_on(report)

    def _hand_on(self, report: _Report) -> None:
        dlr, refs, operator, delivery = report
        # Zeros say that there is no error, as most receipts do, and most of the database are receipts.
        evidence = f"stat:{dlr.stat} err:{dlr.err}" if dlr.err.strip("0") else f"stat:{dlr.stat}"
        outcome = dlr.outcome
        judged = self.parts.judge(refs, outcome)
        if judged is not None:
            refs, outcome = (judged.ref,), judged.outcome
            evidence += f" part:{judged.number}/{judged.total}"
        first, *others = [CarrierRef(self._route, ref) for ref in refs]
        addresses = delivery.sm.source_addr, delivery.sm.destination_addr
        phones = tuple(filter(is_phone_key, map(phone_key, addresses)))
        receipt = Receipt(first, outcome, evidence, tuple(others), operator, phones=phones)
        self._take_receipt(receipt, lambda durable: delivery.acknowledge(_ANSWER[durable]))

    def _operator(self, delivery: Delivery) -> str:
        """Return MCC and MNC as the vendor's TLVs tell them."""
        tlvs = dict(delivery.sm.tlvs)
        told = [tlvs.get(tag, b"").rstrip(b"\0").decode("latin-1") for tag in self._operator_tags]
        digits = "".join(told)
        return digits if digits.isascii() and digits.isdecimal() and len(digits) in _OPERATOR_DIGITS else ""


def _nobody(durable: bool) -> None:
    """Acknowledge to nobody: an answer does not come again."""


def _answer(deliveries: tuple[Delivery, ...], command_status: int) -> None:
    for delivery in deliveries:
        delivery.acknowledge(command_status)
