"""Gives each call a pair of sockets: an even port for its sound, and the odd one above for its reports."""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final, NamedTuple

from dastak.core.errors import Overloaded

# "Expedited forwarding" (RFC 3246): networks that know of it let sound go first.
_TOS_EF: Final = 0xB8
# A second of sound; what waits longer has come too late.
_RECEIVE_OCTETS: Final = 50 * 2_048


class Pair(NamedTuple):
    """The sockets of one call, bound and never blocking."""

    rtp: socket.socket
    rtcp: socket.socket

    @property
    def port(self) -> int:
        """The even one."""
        return int(self.rtp.getsockname()[1])

    def close(self) -> None:
        """Give both ports back."""
        self.rtp.close()
        self.rtcp.close()


class MediaPorts:
    """Hands out pairs of one range in turn, so that a port rests before it serves another call.

    Args:
        address: What to bind to, in digits.
        ports: The range; calls at one time are at most half of it.
        first: Any number; the first pair is taken from it, so that nobody may guess where a process begins.
    """

    def __init__(self, address: str, ports: range, *, first: int = 0) -> None:
        even = range(ports.start + ports.start % 2, ports.stop - 1, 2)
        if not even:
            raise ValueError(f"ports {ports.start} to {ports.stop - 1} hold no pair")
        self._address = address
        self._family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
        self._even = even
        self._next = first % len(even)

    def bind(self) -> Pair:
        """Return the next pair that nobody has.

        Raises:
            Overloaded: Every port is in use.
        """
        for port in self._in_turn():
            bound: list[socket.socket] = []
            try:
                for number in (port, port + 1):
                    bound.append(self._socket())
                    bound[-1].bind((self._address, number))
            except OSError:
                for half in bound:
                    half.close()
            else:
                return Pair(*bound)
        raise Overloaded(f"all {len(self._even)} pairs of media ports are in use")

    def _in_turn(self) -> Iterable[int]:
        for _ in self._even:
            port = self._even[self._next]
            self._next = (self._next + 1) % len(self._even)
            yield port

    def _socket(self) -> socket.socket:
        made = socket.socket(self._family, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_OCTETS)
        if self._family == socket.AF_INET:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TOS_EF)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _TOS_EF)
        return made
