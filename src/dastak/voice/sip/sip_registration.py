"""Our entry in a trunk's book without I/O: made, kept fresh, taken back; for trunks that ask for it.

1. One Call-ID and a rising number for all requests: the trunk sees one phone, not many.
2. A refusal is tried again after a pause and never in a hurry: a wrong password must not become an attack.

Source: RFC 3261, section 10.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from dastak.voice.sip.sip_dialog import CallParty, Packet, SipTrunk
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_headers import MalformedSip, NameAddr, read_name_addr
from dastak.voice.sip.sip_message import Header, SipMessage
from dastak.voice.sip.sip_transactions import Effect, State, Transaction, happened_by

CHALLENGES_MAX: Final = 2
EXPIRES_S_MIN: Final = 10
EXPIRES_S_MAX: Final = 24 * 3600
RETRY_S: Final = 30.0

_SECONDS: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


class Registered(StrEnum):
    """How we stand with the trunk."""

    ASKING = "asking"
    YES = "yes"
    REFUSED = "refused"
    SILENT = "silent"
    GONE = "gone"  # taken back by us


class Registrar(msgspec.Struct, frozen=True, kw_only=True):
    """Where to register and as whom.

    Attributes:
        uri: Of the registrar, such as `sip:trunk.example`.
        address: Ours there, such as `sip:shop@trunk.example`.
        expires_s: How long an entry shall last; the trunk may shorten it.
    """

    uri: str
    address: str
    expires_s: int = 300


class Registration:
    """One entry; its first REGISTER is sent at once.

    Args:
        trunk: How we look to the trunk.
        registrar: Where and as whom.
        digest: The proofs of the trunk.
        draw: Gives a new unguessable token at each call.
        now: The monotonic time, in seconds, here and everywhere below.

    Attributes:
        state: How we stand.
        status: The newest final SIP status, 0 before any.
        packets: What is to be sent; the shell takes it away.

    Raises:
        MalformedSip: A URI would end its line.
    """

    def __init__(
        self,
        trunk: SipTrunk,
        registrar: Registrar,
        digest: DigestClient,
        draw: Callable[[], str],
        *,
        now: float,
    ) -> None:
        self.state = Registered.ASKING
        self.status = 0
        self.packets: list[Packet] = []
        local = NameAddr(registrar.address, "", {"tag": draw()})
        self.party = CallParty(trunk=trunk, call_id=draw(), local=local, digest=digest, draw=draw)
        self._registrar = registrar
        self._expires_s = registrar.expires_s
        self._cseq = 0
        self._challenges = 0
        self._leaving = False
        self._again_at: float | None = None
        self._asking: tuple[str, Transaction] | None = None
        self._ask(now)

    @property
    def deadline(self) -> float | None:
        """Return when `tick` is due, None when nothing is waited for."""
        times = (self._again_at, self._asking[1].deadline if self._asking else None)
        return min((time for time in times if time is not None), default=None)

    def receive(self, message: SipMessage, now: float) -> None:
        """Take a message with our Call-ID."""
        if self._asking is None or not message.status or message.branch != self._asking[0]:
            return
        effect = self._asking[1].take(happened_by(message.status), now)
        if effect is not Effect.TELL or message.status < 200 or message.cseq != self._cseq:
            return
        self.status = message.status
        if message.status < 300:
            self._granted(message, now)
        elif not self._asked_again(message, now):
            self._settle(Registered.REFUSED, now)

    def tick(self, now: float) -> None:
        """Repeat what is due, and refresh the entry in time."""
        if self._asking is not None:
            for effect in self._asking[1].tick(now):
                if effect is Effect.REPEAT:
                    self.packets.append(Packet(self._asking[1].octets, self.party.trunk.target))
                elif effect is Effect.TIMED_OUT:
                    self._settle(Registered.SILENT, now)
            if self._asking[1].terminated:
                self._asking = None
        if self._again_at is not None and self._again_at <= now:
            self._challenges = 0
            self._ask(now)

    def leave(self, now: float) -> None:
        """Take the entry back, where there may be one."""
        if self._leaving:
            return
        self._leaving = True
        if self.state in {Registered.YES, Registered.ASKING}:
            self.state = Registered.ASKING
            self._challenges = 0
            self._ask(now)
        else:
            self._settle(Registered.GONE, now)

    def _granted(self, response: SipMessage, now: float) -> None:
        self._challenges = 0
        if self._leaving:
            self.state = Registered.GONE
            return
        self.state = Registered.YES
        # Half of what was granted: two more tries fit before it is over.
        self._again_at = now + max(EXPIRES_S_MIN, self._granted_s(response)) / 2

    def _granted_s(self, response: SipMessage) -> int:
        """Read how long our entry lasts: by its own parameter, then by the header, then as we asked."""
        said = [response.first("Expires")]
        for value in response.all("Contact"):
            try:
                contact = read_name_addr(value)
            except MalformedSip:
                continue
            if contact.uri == self.party.trunk.contact:
                said.insert(0, contact.parameters.get("expires") or "")
        found = next((int(one) for one in said if _SECONDS.fullmatch(one)), self._expires_s)
        return min(found, EXPIRES_S_MAX)

    def _asked_again(self, response: SipMessage, now: float) -> bool:
        """Ask once more where the refusal says how."""
        if self._challenges >= CHALLENGES_MAX:
            return False
        self._challenges += 1
        longer = response.first("Min-Expires")
        if response.status in {401, 407} and self.party.digest.challenged(response):
            self._ask(now)
            return True
        if response.status == 423 and _SECONDS.fullmatch(longer) and int(longer) <= EXPIRES_S_MAX:
            self._expires_s = max(self._expires_s, int(longer))
            self._ask(now)
            return True
        return False

    def _settle(self, state: Registered, now: float) -> None:
        self.state = Registered.GONE if self._leaving else state
        self._again_at = None if self._leaving else now + RETRY_S

    def _ask(self, now: float) -> None:
        self._again_at = None
        self._cseq += 1
        trunk, registrar = self.party.trunk, self._registrar
        branch = self.party.new_branch()
        headers: list[Header] = [
            *self.party.digest.proofs("REGISTER", registrar.uri),
            ("Contact", f"<{trunk.contact}>"),
            ("Expires", "0" if self._leaving else str(self._expires_s)),
        ]
        octets = self.party.request(
            "REGISTER",
            registrar.uri,
            to=str(NameAddr(registrar.address)),
            cseq=self._cseq,
            branch=branch,
            routes=trunk.routes,
            headers=headers,
        )
        transaction = Transaction(
            State.ASKING_TRYING, trunk.timing, reliable=trunk.reliable, octets=octets, now=now
        )
        self._asking = (branch, transaction)
        self.packets.append(Packet(octets, trunk.target))
