"""One SMPP carrier as a route: texts become submit_sm, deliver_sm become receipts."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from dastak.core.message import CarrierRef, MessageKey
from dastak.core.receipt_parts import LongText
from dastak.core.way_out import PASSING_MAX, HeldElsewhere, Outgoing
from dastak.sms.bind_group import BindGroup, BindView, Count
from dastak.sms.coded_text import write_text
from dastak.sms.correlation import Trace, phone_key
from dastak.sms.esme import BindState
from dastak.sms.inbound import Inbound, OnAlert, TakeReceipt, TakeReply
from dastak.sms.pdu_words import Seen
from dastak.sms.smpp_settings import SmppSettings
from dastak.sms.submission import Accepted, Submission, SubmitResult
from dastak.sms.vendor_tlvs import fill_tlvs

# Who runs this must learn of a lost bind without asking, and of refused credentials at once.
_LEVELS: Final = {
    BindState.BOUND: logging.INFO,
    BindState.DOWN: logging.WARNING,
    BindState.REFUSED: logging.ERROR,
}

log = logging.getLogger("dastak.smpp")


class SmppRoute:
    """The binds to one carrier, kept up while the context lasts.

    Args:
        name: Under which its messages are kept.
        settings: How to reach the carrier, and what it wants.
        take_receipt: Given every receipt; a receipt is acknowledged when it says that it is durable.
        take_reply: The same for texts from phones; without it they are taken and forgotten.
        on_alert: Told the number of a phone that is back.
        slots: Which of its binds to hold at first; None is all.

    Attributes:
        elsewhere: Another node with a bind that is up, where nodes share them; 0 is none.
        held: The slots that this node holds.
    """

    def __init__(
        self,
        name: str,
        settings: SmppSettings,
        take_receipt: TakeReceipt,
        *,
        take_reply: TakeReply | None = None,
        on_alert: OnAlert | None = None,
        slots: Collection[int] | None = None,
    ) -> None:
        self.name = name
        self.elsewhere = 0
        self.held = frozenset(range(settings.binds) if slots is None else slots)
        self._shared = slots is not None
        self._settings = settings
        self._inbound = Inbound(
            name, settings, take_receipt=take_receipt, take_reply=take_reply, on_alert=on_alert
        )
        self._text_options = settings.text_options
        self._told: dict[str, str] = {}
        self._stopping = False
        self._group = BindGroup(
            settings,
            on_deliver=self._inbound.on_deliver,
            on_alert=self._inbound.on_alert,
            on_state=self._on_state,
            slots=slots,
        )

    def follow(self, older: object, ended: asyncio.Future[None]) -> None:
        """Connect only when an older route is over, if that has binds; to be said before the start.

        Of slots that nodes share it has at first those of the older one.
        """
        if not isinstance(older, SmppRoute):
            return
        if self._shared:
            self.held = older.held
        self._group.follow(older._group, ended, self.held)

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

    async def hold(self, slots: Collection[int]) -> None:
        """Keep these binds up and no other one; return when those that were too many are closed."""
        self.held = frozenset(slots)
        await self._group.hold(self.held)

    @property
    def allowance(self) -> int:
        """How many binds the carrier gives, over all nodes."""
        return self._settings.binds

    @property
    def bound(self) -> bool:
        """Whether a bind of this node is up that can send."""
        return self._group.available

    @property
    def available(self) -> bool:
        """Whether a bind is up that can send, here or at another node."""
        return self._group.available or self.elsewhere > 0

    @property
    def in_flight_max(self) -> int:
        """How many messages may be under way at once."""
        if self.elsewhere and not self._group.available:
            return PASSING_MAX
        return self._group.in_flight_max

    @property
    def reason(self) -> str:
        """Which binds are up, and why one is not, in words."""
        if self.elsewhere and not self.held:
            return f"node {self.elsewhere} is bound"
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

    def watch(self, tap: Callable[[Seen], None]) -> Callable[[], None]:
        """Show what is said on all binds, in words without secrets; call the answer to end it.

        It ends by itself after a thousand PDUs. To see a bind from its beginning, watch before the start.
        """
        return self._group.watch(tap)

    async def wait_bound(self) -> None:
        """Return as soon as a bind is up that can send."""
        await self._group.wait_bound()

    async def submit(self, outgoing: Outgoing) -> CarrierRef:
        """Hand a text over, in as many parts as it needs; the ref of the last part stands for it.

        Raises:
            CarrierRejected: The carrier said no.
            CarrierUnavailable: No answer; with `outcome_unknown` it may have it.
            HeldElsewhere: Another node is bound and this one is not.
        """
        if self.elsewhere and not self._group.available:
            raise HeldElsewhere(self.elsewhere)
        reference = _reference(outgoing.key)
        coded = write_text(outgoing.text, self._text_options, reference=reference)
        wanted = self._settings.tlvs
        tlvs = fill_tlvs(wanted, {"sender": outgoing.sender, **outgoing.dlt}) if wanted else ()
        submissions = [
            Submission(
                octets=part.octets,
                destination=outgoing.msisdn,
                sender=outgoing.sender,
                validity_s=outgoing.validity_s,
                # Each part has its own, for each has its own receipt.
                user_message_reference=(reference + number) & 0xFFFF,
                data_coding=coded.data_coding,
                esm_class=part.esm_class,
                tlvs=(*part.tlvs, *tlvs),
            )
            for number, part in enumerate(coded.parts)
        ]
        ref = await (
            self._submit(submissions[0]) if len(submissions) == 1 else self._submit_parts(submissions)
        )
        if self._settings.answer_delivers:
            self._inbound.on_answer(ref)
        return CarrierRef(self.name, ref)

    async def _submit_parts(self, submissions: Sequence[Submission]) -> str:
        """Submit the parts of one text, one after the other, and return the ref of the last."""
        parts = self._inbound.parts
        text = parts.begin(phone_key(submissions[0].destination), len(submissions))
        try:
            for submission in submissions:
                ref = await self._submit(submission, text)
        finally:
            self._inbound.release(parts.end(text))
        return ref

    async def _submit(self, submission: Submission, text: LongText | None = None) -> str:
        """Submit one part and return its ref, which is noted before anything else of the carrier is read."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def done(result: SubmitResult) -> None:
            if not isinstance(result, Accepted):
                if not answer.done():
                    answer.set_exception(result)
                return
            source_addr, _, _ = self._settings.source_of(submission.sender)
            phone = submission.destination.removeprefix("+")
            trace = Trace(result.message_id, submission.user_message_reference, phone, source_addr)
            ref = self._inbound.correlator.submitted(trace)
            if text is not None:
                self._inbound.parts.took(text, ref)
            if not answer.done():
                answer.set_result(ref)

        self._group.submit_nowait(submission, done)
        return await answer

    def _on_state(self, bind: str, state: BindState, reason: str) -> None:
        """Write down that a bind is up or why it is not, but not again with every try."""
        if self._stopping or reason == self._told.get(bind):
            return
        self._told[bind] = reason
        log.log(_LEVELS[state], "route %s, bind %s is %s: %s", self.name, bind, state, reason)


def _reference(key: MessageKey) -> int:
    """Return 16 bits that differ between the messages of one phone."""
    return (int.from_bytes(key.verification[:2], "big") + key.ordinal) & 0xFFFF
