"""A SIP dialog of the calling side: who talks to whom, by which way, and the requests that say so.

1. The way is what the answer recorded, reversed; it never changes within a dialog.
2. Where the peer is (`target`) follows its newest Contact.

Source: RFC 3261, section 12.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from dastak.voice.sip.call_outcomes import NO_OVERRIDES, Overrides
from dastak.voice.sip.sip_digest import DigestClient
from dastak.voice.sip.sip_headers import MalformedSip, NameAddr, SipUri, read_name_addr, read_uri
from dastak.voice.sip.sip_message import BRANCH_COOKIE, Address, Header, SipMessage, encode_request
from dastak.voice.sip.sip_transactions import Timing

MAX_FORWARDS: Final = 70
ALLOWED: Final = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE")
ALLOW: Final[Header] = ("Allow", ", ".join(ALLOWED))
SDP: Final[Header] = ("Content-Type", "application/sdp")


class Packet(msgspec.Struct, frozen=True):
    """Octets to send. `to` None is the trunk itself; its host may be a name, not yet an address."""

    octets: bytes
    to: Address | None


class SipTrunk(msgspec.Struct, frozen=True, kw_only=True):
    """How we look to one trunk, and what is peculiar to it.

    Attributes:
        transport: `UDP`, `TCP` or `TLS`.
        sent_by: Host and port that answers come back to; behind NAT the advertised ones.
        contact: The URI under which the peer reaches us within a dialog.
        target: Where requests outside of a dialog go; None is wherever the line leads.
        routes: An outbound proxy, as `<sip:proxy.example;lr>`.
        prack: Whether to offer reliable provisional answers. One that demands them gets its PRACK anyway.
        session_s: How often the peer shall make sure that we still live, so that no call stays up when we
            died; 0 does not ask for it. RFC 4028 allows 90 and more.
        assert_identity: Whether to repeat the caller as P-Asserted-Identity.
        ring_s: How long it may ring.
        talk_s_max: How long a call may last once it is answered.
    """

    transport: str = "UDP"
    sent_by: str
    contact: str
    target: Address | None = None
    routes: tuple[str, ...] = ()
    prack: bool = False
    session_s: int = 90
    assert_identity: bool = False
    user_agent: str = "Dastak"
    timing: Timing = Timing()
    ring_s: float = 25.0
    talk_s_max: float = 90.0
    overrides: Overrides = NO_OVERRIDES

    @property
    def reliable(self) -> bool:
        """Whether its transport loses nothing."""
        return self.transport != "UDP"


class CallParty(msgspec.Struct, frozen=True, kw_only=True):
    """What stays the same in every request of one call."""

    trunk: SipTrunk
    call_id: str
    local: NameAddr  # From, with our tag
    digest: DigestClient
    draw: Callable[[], str]

    def via(self, branch: str) -> Header:
        """Return our Via."""
        return "Via", f"SIP/2.0/{self.trunk.transport} {self.trunk.sent_by};branch={branch};rport"

    def new_branch(self) -> str:
        """Return a branch that nobody can guess."""
        return BRANCH_COOKIE + self.draw()

    def request(
        self,
        method: str,
        uri: str,
        *,
        to: str,
        cseq: int,
        branch: str,
        routes: Sequence[str] = (),
        headers: Sequence[Header] = (),
        body: bytes = b"",
    ) -> bytes:
        """Write a request of this call.

        Raises:
            MalformedSip: A part would end its line.
        """
        return encode_request(
            method,
            uri,
            [
                self.via(branch),
                ("Max-Forwards", str(MAX_FORWARDS)),
                *(("Route", route) for route in routes),
                ("From", str(self.local)),
                ("To", to),
                ("Call-ID", self.call_id),
                ("CSeq", f"{cseq} {method}"),
                *headers,
                ("User-Agent", self.trunk.user_agent),
            ],
            body,
        )


class Dialog:
    """One dialog, early or confirmed.

    Attributes:
        remote_tag: What tells it from the other forks of one INVITE.
        target: The URI of the peer.
        remote_cseq: The number of its newest request; -1 before the first.
    """

    def __init__(self, party: CallParty, response: SipMessage, *, asked_uri: str, cseq: int) -> None:
        self.remote_tag = response.to_tag
        self.target = asked_uri
        self.remote_cseq = -1
        self._party = party
        self._to = response.first("To")
        self._routes = [route for route in reversed(response.all("Record-Route")) if _is_address(route)]
        self._cseq = cseq
        self.follow(response)

    def follow(self, message: SipMessage) -> None:
        """Take the peer's newest Contact, if it gives one that can be sent to."""
        try:
            uri = read_name_addr(message.first("Contact")).uri
            read_uri(uri)
        except MalformedSip:
            return
        self.target = uri

    def confirm(self, response: SipMessage) -> None:
        """Take the way and target from the 2xx: they replace what a provisional said."""
        self._routes = [route for route in reversed(response.all("Record-Route")) if _is_address(route)]
        self.follow(response)

    def next_cseq(self) -> int:
        """Count one request more."""
        self._cseq += 1
        return self._cseq

    def farewell(self) -> Packet:
        """Write a BYE and count it not: as long as nothing else is asked it may still be said by another."""
        return self.request("BYE", cseq=self._cseq + 1, branch=self._party.new_branch())

    def request(
        self,
        method: str,
        *,
        cseq: int,
        branch: str,
        headers: Sequence[Header] = (),
        body: bytes = b"",
        proofs: Sequence[Header] | None = None,
    ) -> Packet:
        """Write a request within this dialog, with proof of who we are where the trunk is known to ask.

        Args:
            method: What we ask.
            cseq: From `next_cseq`; that of the INVITE for its ACK.
            branch: From `CallParty.new_branch`.
            headers: Further ones.
            body: With its Content-Type in `headers`.
            proofs: Those of the INVITE for its ACK, which cannot be challenged; None makes new ones.
        """
        uri, routes = self._way()
        if proofs is None:
            proofs = self._party.digest.proofs(method, uri)
        octets = self._party.request(
            method,
            uri,
            to=self._to,
            cseq=cseq,
            branch=branch,
            routes=routes,
            headers=[*proofs, *headers],
            body=body,
        )
        return Packet(octets, hop(routes[0] if routes else uri))

    def _way(self) -> tuple[str, list[str]]:
        """Return Request-URI and Route; a first router without `lr` wants to be the Request-URI itself."""
        if not self._routes or "lr" in _route_uri(self._routes[0]).parameters:
            return self.target, self._routes
        strict = read_name_addr(self._routes[0]).uri
        return strict, [*self._routes[1:], f"<{self.target}>"]


def hop(address: str) -> Address | None:
    """Return host and port of a route or URI; None, the trunk itself, where it cannot be read."""
    try:
        return read_uri(read_name_addr(address).uri if "<" in address else address).hop
    except MalformedSip:
        return None


def _is_address(route: str) -> bool:
    try:
        _route_uri(route)
    except MalformedSip:
        return False
    return True


def _route_uri(route: str) -> SipUri:
    return read_uri(read_name_addr(route).uri)
