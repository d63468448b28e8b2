"""What must be read again is unreadable at rest, as the flows see it."""

from typing import Protocol


class Sealer(Protocol):
    """Keeps what must be read again unreadable at rest: a caller's own code, an authenticator's seed."""

    def seal(self, clear: bytes, *, bound_to: bytes) -> bytes:
        """Encrypt; `bound_to` names the row, so that it opens nowhere else."""

    def unseal(self, sealed: bytes, *, bound_to: bytes) -> bytes:
        """Decrypt. Raises: Damaged (or another row's), Overloaded (this node lacks the key)."""
