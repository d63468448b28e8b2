"""Everything that carriers bring: receipts, replies, what happens in calls, and word that a phone is back."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Self

from dastak.carriers.carrier_kinds import Ears
from dastak.core.ports import Ports
from dastak.core.reply import HeardReply
from dastak.core.reply_store import ReplyStore
from dastak.flows.call_steps import CallSteps
from dastak.flows.hear import Hearing, OwnersOf
from dastak.flows.phone_back import Returns
from dastak.flows.settle import Settlement


class Inward(NamedTuple):
    """What takes in what carriers bring."""

    settlement: Settlement
    hearing: Hearing
    returns: Returns
    call_steps: CallSteps

    @classmethod
    def of(cls, on_reply: Callable[[HeardReply], None]) -> Self:
        """Make the parts; `on_reply` is told of each reply that is new."""
        return cls(Settlement(), Hearing(on_reply), Returns(), CallSteps())

    def ears(self, *, test: bool = False) -> Ears:
        """Return who hears a carrier; `test` is the one in the box, whose phones are virtual."""
        take_reply, on_alert = partial(self.hearing.take, test=test), partial(self.returns.take, test=test)
        return Ears(self.settlement.take, take_reply, on_alert, self.call_steps.take)

    def begin(self, ports: Ports, store: ReplyStore, owners_of: OwnersOf) -> None:
        """Take in from now on."""
        self.settlement.begin(ports)
        self.call_steps.begin(ports)
        self.hearing.begin(ports, store, owners_of)
        self.returns.begin(ports, store)
