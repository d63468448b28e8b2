"""Hash passwords in a process of its own: a question a line comes in, an answer a line goes out.

It ends with whoever asks: its input is over then, however that one died.

Source: OWASP Password Storage Cheat Sheet (argon2id, m=19456 KiB, t=2, p=1); RFC 9106.
"""

import os
import signal
import sys
from contextlib import suppress
from typing import Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MEMORY_KIB: Final = 19_456
PASSES: Final = 2
LANES: Final = 1
# Checks of codes and carriers come first; it still has a tenth of a core that others want as well.
NICENESS: Final = 10


class Question(msgspec.Struct, frozen=True):
    """A password to hash, or to hold against what is kept of one."""

    clear: str
    kept: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What is kept of it; or, where something was kept already, whether it is the one."""

    kept: str = ""
    matched: bool = False


def hasher() -> PasswordHasher:
    """Return what hashes with today's figures."""
    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


def answer(hashes: PasswordHasher, question: Question) -> Answer:
    """Hash, or compare."""
    if question.kept is None:
        return Answer(kept=hashes.hash(question.clear))
    try:
        return Answer(matched=hashes.verify(question.kept, question.clear))
    except (VerificationError, InvalidHashError):
        return Answer()


def main() -> None:
    """Answer until there are no more questions."""
    # Ctrl-C goes to all processes of a terminal; this one ends by its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(AttributeError, OSError):
        os.nice(NICENESS)
    hashes, read = hasher(), msgspec.json.Decoder(Question)
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(msgspec.json.encode(answer(hashes, read.decode(line))) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
