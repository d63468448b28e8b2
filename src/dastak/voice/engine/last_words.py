"""Says the last words of calls in the place of a voice process that is gone.

1. It is said from the very port that the call was spoken from: many trunks take a CANCEL from nowhere else.
   The system gives a port back when its process has ended, and not before.
2. Each is said once, and no answer is waited for: the port may be wanted again at once. Who misses it has the
   expiry of the invitation, or the session timer.

Source: RFC 3261, sections 9.1 and 17.2.3.
"""

import logging
import socket
from collections.abc import Collection, Sequence

from dastak.voice.sip.line_call import LastWords
from dastak.voice.sip.sip_message import Address

log = logging.getLogger("dastak.voice")


def say_last_words(words: Collection[LastWords]) -> None:
    """Send each of them; what cannot be sent is lost, and told in the log."""
    for here in {one.here for one in words}:
        _say([one for one in words if one.here == here], here)


def _say(words: Sequence[LastWords], here: Address) -> None:
    unsaid, why = len(words), None
    try:
        with socket.socket(socket.AF_INET6 if ":" in here[0] else socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.setblocking(False)
            wire.bind(here)
            for one in words:
                try:
                    wire.sendto(one.octets, one.to)
                    unsaid -= 1
                except OSError as error:
                    why = error.strerror
    except OSError as error:
        why = error.strerror
    if unsaid:
        log.warning("%d calls cannot be called off: %s", unsaid, why)
