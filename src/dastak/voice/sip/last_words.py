"""What ends a call when the process that speaks it is gone: kept by another one, and said in its place.

1. It is said from the very port that the call was spoken from: many trunks take a CANCEL from nowhere else.
   The system gives a port back when its process has ended, and not before.
2. Each is said once, and no answer is waited for: the port may be wanted again at once. Who misses it has the
   expiry of the invitation, or the session timer.

Source: RFC 3261, sections 9.1 and 17.2.3.
"""

import logging
import socket
from collections.abc import Collection
from contextlib import suppress
from typing import Final, NamedTuple

from dastak.voice.sip.sip_message import Address
from dastak.voice.sip.sip_sockets import is_address

# Kept for each call. A BYE says by which way the answer came, and a hostile trunk may record a long one.
LAST_WORDS_OCTETS_MAX: Final = 4096

log = logging.getLogger("dastak.voice")


class LastWords(NamedTuple):
    """A datagram that ends a call.

    Attributes:
        octets: A CANCEL or a BYE.
        here: From where the call was spoken.
        there: Where it goes; where that is a name, which nobody has time to look up, it goes to the trunk.
        trunk: Where the INVITE went.
    """

    octets: bytes
    here: Address
    there: Address
    trunk: Address

    @property
    def to(self) -> Address:
        """Where it is sent."""
        return self.there if is_address(self.there[0]) else self.trunk


def say_last_words(words: Collection[LastWords]) -> None:
    """Send each of them; what cannot be sent is lost, and told in the log."""
    for here in {one.here for one in words}:
        said = [one for one in words if one.here == here]
        family = socket.AF_INET6 if ":" in here[0] else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as wire:
                wire.setblocking(False)
                wire.bind(here)
                for one in said:
                    with suppress(OSError):
                        wire.sendto(one.octets, one.to)
        except OSError as error:
            log.warning("%d calls cannot be called off: %s", len(said), error.strerror)
