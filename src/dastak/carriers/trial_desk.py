"""The trials under way in a running server, and the receipts of its routes that belong to them."""

from collections.abc import Callable, Mapping
from typing import Final

from dastak.carriers.carrier_kinds import Acknowledge, LivingRoute, TakeReceipt
from dastak.carriers.trial import Opener, Trial
from dastak.carriers.trial_report import Errand, Report, Told
from dastak.core.errors import Overloaded
from dastak.core.message import Receipt
from dastak.http_carriers.http_route import Callback

# Each has a bind of its own, and a request that waits.
TRIALS_MAX: Final = 4
RETRY_AFTER_S: Final = 10


class TrialDesk:
    """Runs trials, and stands before the one who settles receipts.

    Args:
        settle: Given every receipt that is not a trial's.
        fixed: What makes the routes to the carriers of the settings file, by their names.
        callback_of: Returns where the webhooks of a carrier come in.
    """

    def __init__(
        self, settle: TakeReceipt, *, fixed: Mapping[str, Opener], callback_of: Callable[[str], Callback]
    ) -> None:
        self.fixed, self.callback_of = fixed, callback_of
        self._settle = settle
        self._under_way: list[Trial] = []
        self._routes: dict[str, list[LivingRoute]] = {}

    def take(self, receipt: Receipt, acknowledge: Acknowledge) -> None:
        """Take a receipt from a route of the server: a carrier brings it to whichever bind it likes."""
        for trial in self._under_way:
            if trial.overhears(receipt):
                acknowledge(True)
                return
        self._settle(receipt, acknowledge)

    async def run(self, name: str, open_one: Opener, errand: Errand) -> Report:
        """Try a carrier; see `Trial`. Raises: Overloaded (so many are tried already)."""
        if len(self._under_way) >= TRIALS_MAX:
            raise Overloaded(f"{TRIALS_MAX} carriers are being tried already.", retry_after_s=RETRY_AFTER_S)
        opened = self._routes.setdefault(name, [])

        def opening(take: TakeReceipt) -> LivingRoute:
            opened.append(open_one(take))
            return opened[-1]

        trial = Trial(name, opening, errand, tell=_nobody, others=self._settle)
        self._under_way.append(trial)
        try:
            return await trial.run()
        finally:
            self._under_way.remove(trial)
            if not any(other.name == name for other in self._under_way):
                self._routes.pop(name, None)

    def routes(self, name: str) -> tuple[LivingRoute, ...]:
        """Return the routes that are tried under a name: what is fetched of their calls, they answer."""
        return tuple(self._routes.get(name, ()))


def _nobody(_told: Told) -> None:
    """Tell nobody while it runs: the report has it all."""
