"""Encrypts and signs what a call sends, and opens what it hears, where the offer asked for SRTP.

`pylibsrtp` does the work; it comes with the extra `voice-srtp` and is imported only for a call that needs it.
Source: RFC 3711; RFC 4568, section 6.
"""

from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from dastak.voice.sound.sdes import Crypto, Suite

if TYPE_CHECKING:
    from pylibsrtp import Session

# The tag of 10 octets, and for reports an index of 4.
SRTP_EXTRA_OCTETS_MAX: Final = 14


class SrtpUse(StrEnum):
    """Whether the sound of a trunk's calls is encrypted."""

    OFF = "off"
    OFFERED = "offered"  # where the trunk takes a key; plain where it does not
    REQUIRED = "required"  # or there is no call


def srtp_installed() -> bool:
    """Say whether the extra `voice-srtp` is there."""
    return find_spec("pylibsrtp") is not None


class RejectedSrtp(ValueError):  # noqa: N818 - what it is, not that it went wrong
    """These octets were not sent by who has the key, or were heard before."""


class Srtp:
    """Both directions of one call.

    Args:
        suite: Of the answer.
        ours: The key we gave, for what we send.
        theirs: The peer's key, for what it sends.

    Raises:
        ImportError: Dastak was installed without its extra `voice-srtp`.
    """

    def __init__(self, suite: Suite, *, ours: bytes, theirs: bytes) -> None:
        from pylibsrtp import Error, Policy  # noqa: PLC0415 - an extra, and costs nothing where nobody asks for it

        self._error: type[Exception] = Error
        self._sends = _session(suite, ours, Policy.SSRC_ANY_OUTBOUND)
        self._hears = _session(suite, theirs, Policy.SSRC_ANY_INBOUND)

    @classmethod
    def of(cls, theirs: Crypto, ours: bytes) -> "Srtp":
        """Return the SRTP of a call from the peer's key and our own."""
        return cls(theirs.suite, ours=ours, theirs=theirs.key)

    def protect(self, rtp: bytes) -> bytes:
        """Encrypt and sign a packet."""
        return self._sends.protect(rtp)

    def protect_rtcp(self, rtcp: bytes) -> bytes:
        """Encrypt and sign a report."""
        return self._sends.protect_rtcp(rtcp)

    def unprotect(self, octets: bytes) -> bytes:
        """Open a packet.

        Raises:
            RejectedSrtp: Its signature is wrong, or it came before.
        """
        try:
            return self._hears.unprotect(octets)
        except (self._error, ValueError) as error:
            raise RejectedSrtp(str(error)) from error

    def unprotect_rtcp(self, octets: bytes) -> bytes:
        """Open a report.

        Raises:
            RejectedSrtp: Its signature is wrong, or it came before.
        """
        try:
            return self._hears.unprotect_rtcp(octets)
        except (self._error, ValueError) as error:
            raise RejectedSrtp(str(error)) from error


def _session(suite: Suite, key: bytes, ssrc_type: int) -> "Session":
    from pylibsrtp import Policy, Session  # noqa: PLC0415 - as above

    profile = {
        Suite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        Suite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    }[suite]
    return Session(Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile))
