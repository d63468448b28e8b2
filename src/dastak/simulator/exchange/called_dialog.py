"""A SIP dialog of the called side: the answers of one phone, and its requests to who called.

It is written apart from the dialogs of the calling side, so that one mistake is not in both ends.

Source: RFC 3261, sections 8.2.6 and 12.
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from dastak.voice.sip.sip_headers import MalformedSip, read_name_addr, read_uri
from dastak.voice.sip.sip_message import (
    BRANCH_COOKIE,
    Address,
    Header,
    SipMessage,
    answer,
    answer_to,
    encode_request,
)

MAX_FORWARDS: Final = 70
USER_AGENT: Final = "Dastak exchange"


class Hop(NamedTuple):
    """Where a message came from, or goes: over TCP the connection of that peer.

    Attributes:
        transport: `UDP` or `TCP`.
    """

    transport: str
    address: Address

    @property
    def reliable(self) -> bool:
        """Whether nothing is lost on the way."""
        return self.transport != "UDP"


class Packet(NamedTuple):
    """Octets to send."""

    octets: bytes
    to: Hop


class Place(NamedTuple):
    """Where the exchange is, as who calls sees it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def contact(self, user: str, transport: str) -> Header:
        """Return the address under which a phone is reached within a dialog."""
        over = "" if transport == "UDP" else f";transport={transport.lower()}"
        return "Contact", f"<sip:{user}@{self}{over}>"


class CalledDialog:
    """What one phone has with who called it.

    Args:
        invite: What began it.
        hop: Where that came from.
        place: Where we are.
        draw: Gives a new unguessable token at each call.

    Attributes:
        tag: Ours; what tells this phone from the others that one INVITE reached.
        remote_cseq: The number of the peer's newest request.
    """

    def __init__(self, invite: SipMessage, hop: Hop, place: Place, draw: Callable[[], str]) -> None:
        self.tag = draw()
        self.remote_cseq = invite.cseq
        self._hop, self._place, self._draw = hop, place, draw
        self._local = f"{invite.first('To')};tag={self.tag}"
        self._remote = invite.first("From")
        self._call_id = invite.call_id
        self._routes = invite.all("Record-Route")
        self._target = ""
        self._cseq = 0
        self.follow(invite)

    def follow(self, message: SipMessage) -> None:
        """Take the peer's newest Contact, if it gives one that can be sent to."""
        try:
            uri = read_name_addr(message.first("Contact")).uri
            read_uri(uri)
        except MalformedSip:
            return
        self._target = uri

    def answer(
        self,
        request: SipMessage,
        hop: Hop,
        status: int,
        reason: str,
        headers: Sequence[Header] = (),
        *,
        body: bytes = b"",
    ) -> Packet:
        """Write the answer to a request. Raises: MalformedSip."""
        return answer_from(
            request, hop, status, reason, to_tag="" if status == 100 else self.tag, headers=headers, body=body
        )

    def request(self, method: str, headers: Sequence[Header] = (), body: bytes = b"") -> tuple[str, Packet]:
        """Write a request to who called, and return its branch with it. Raises: MalformedSip."""
        self._cseq += 1
        branch = BRANCH_COOKIE + self._draw()
        octets = encode_request(
            method,
            self._target,
            [
                ("Via", f"SIP/2.0/{self._hop.transport} {self._place};branch={branch};rport"),
                ("Max-Forwards", str(MAX_FORWARDS)),
                *(("Route", route) for route in self._routes),
                ("From", self._local),
                ("To", self._remote),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._cseq} {method}"),
                *headers,
                ("User-Agent", USER_AGENT),
            ],
            body,
        )
        return branch, Packet(octets, self._way())

    def _way(self) -> Hop:
        """Return where requests go; where a name stands, to where the call came from: we look nothing up."""
        if self._hop.reliable:
            return self._hop
        first = read_name_addr(self._routes[0]).uri if self._routes else self._target
        address = read_uri(first).hop
        try:
            ip_address(address[0])
        except ValueError:
            return self._hop
        return Hop(self._hop.transport, address)


def answer_from(
    request: SipMessage,
    hop: Hop,
    status: int,
    reason: str,
    *,
    to_tag: str,
    headers: Sequence[Header] = (),
    body: bytes = b"",
) -> Packet:
    """Write an answer to a request that need not belong to any dialog. Raises: MalformedSip."""
    octets = answer(request, status, reason, source=hop.address, to_tag=to_tag, headers=[*headers], body=body)
    return Packet(octets, hop if hop.reliable else Hop(hop.transport, answer_to(request, hop.address)))
