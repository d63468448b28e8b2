"""The list of faults: what is broken, what must hold, and why some are not played here."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Listed(NamedTuple):
    """One fault.

    Attributes:
        what: What is broken.
        holds: What must hold all the same.
        not_here: Why no scene plays it; empty where one does.
    """

    what: str
    holds: str
    not_here: str = ""


# Those that start a PostgreSQL of their own, whatever the run is on.
OWN_DATABASE: Final = {"F5", "F29", "F30", "F31", "F32", "F33", "F34"}

FAULTS: Final[Mapping[str, Listed]] = {
    "F1": Listed(
        "`kill -9` of the program at random times",
        "nothing lost, nothing approved twice, no attempt forgotten",
    ),
    "F2": Listed(
        "`kill -9` while carriers have texts to answer", "what was under way comes again with the same code"
    ),
    "F3": Listed(
        "`kill -9` of API, worker and database at once, with 100,000 texts in the queue (`--pending`); a "
        "PostgreSQL that runs here already (`--database-url`) is left alive",
        "the whole queue leaves after it, and requests are answered within ten seconds",
    ),
    "F4": Listed("`SIGSTOP` for longer than a lease, then `SIGCONT`", "no late write over what moved on"),
    "F5": Listed(
        "the primary of PostgreSQL is killed, and its synchronous standby is promoted",
        "503 with `Retry-After` for fifteen seconds at most, then all is well without a restart; nothing "
        "lost, nothing twice; p99 is normal within thirty seconds. What asynchronous replication loses is "
        "not counted: the recipe forbids it, for a code whose approval is lost is good again",
    ),
    "F6": Listed("the database stalls", "refusals with `Retry-After` within three seconds, then all is well"),
    "F7": Listed("the answer to a committed start is lost", "the same Idempotency-Key gives one text"),
    "F8": Listed(
        "the server of the shared counts (Valkey or Redis) is killed, emptied, and hangs for five seconds",
        "no check is refused for it, no wrong attempt is forgotten, starts go on by each node's own counts",
    ),
    "F9": Listed("NATS is killed", "", "Dastak keeps nothing in NATS"),
    "F10": Listed("the disk is full", "no 2xx without a commit, no approval; space cures it"),
    "F11": Listed("an fsync fails", "it never acknowledges again until a new start"),
    "F12": Listed(
        "a carrier link is cut with submits outstanding", "what is in doubt goes by the other carrier"
    ),
    "F13": Listed("a carrier link swallows everything", "texts go by the other carrier within seconds"),
    "F14": Listed("a carrier throttles three of ten", "no text is dropped, the other carrier takes over"),
    "F15": Listed("receipts come five times, shuffled and early", "each text is settled exactly once"),
    "F16": Listed(
        "half of the texts fail; later carriers say so again, and then that they arrived after all",
        "whose text failed is called within a second, once, and nobody else is",
    ),
    "F17": Listed(
        "a carrier answers after four seconds",
        "people wait five seconds at most, and one text in twenty comes twice",
    ),
    "F18": Listed("the wall clock steps by -2 h, +90 s, -90 s, +1 h", "no code lives longer for it"),
    "F19": Listed(
        "far too many people: ten times what goes, or all that the load can ask",
        "nothing accepted is lost, nine tenths of the peak are still done, each within a second; checks are "
        "answered, and refusals come at once and say when to come again",
    ),
    "F20": Listed("refused people ask again at once", "it recovers while they do"),
    "F21": Listed(
        "the servers that take the webhooks of leads are down; later they are up and saved again",
        "each lead is told, signed, with one id, to its own page's owner alone (no other webhook tells of "
        "verifications yet)",
    ),
    "F22": Listed(
        "no name server answers, then one hangs; links are cut meanwhile, and the file of keys is gone",
        "texts go on; a link comes back at the address that its carrier had last (the DLT register is in the "
        "database)",
    ),
    "F23": Listed("`SIGTERM` and a new start under load", "nobody is cut off, nothing lost, nothing twice"),
    "F24": Listed("the database is put back to an older copy", "no code that was used since is good again"),
    "F25": Listed(
        "out of memory: the kernel kills the program, or gives it no more for a while",
        "as F2; without memory it refuses or ends, and all is well when there is memory again",
    ),
    "F26": Listed(
        "a long soak",
        "all books balance, file handles stay flat, and memory grows by 0.2 KiB for each start at most: what "
        "the limits note of a new number, up to a million numbers. Not by the hour: everybody here is a new "
        "number, so an hour brings as many notes as the machine carries people",
    ),
    "F27": Listed(
        "packets to a carrier and back are lost: one in twenty, then three in ten",
        "texts go by the other carrier within seconds where this one is too slow",
    ),
    "F28": Listed(
        "a message that cannot be written", "it is a dead letter after three tries; nobody else waits for it"
    ),
    "F29": Listed(
        "the machine of the database's primary is lost, and comes back",
        "503 with `Retry-After` until a standby is the primary, then all is well, and p99 is normal within "
        "thirty seconds of the fault; the old one follows it",
    ),
    "F30": Listed(
        "the database's primary is cut off and runs on",
        "the same, and nothing that it writes alone is confirmed or kept",
    ),
    "F31": Listed(
        "the standby that confirms is cut off",
        "the other one confirms within seconds; p99 is normal within thirty",
    ),
    "F32": Listed(
        "an operator changes the database's primary",
        "refusals for a moment, and nothing else; p99 is normal within thirty seconds",
    ),
    "F33": Listed(
        "as F30, and nodes have all three hosts in their URL and no HAProxy",
        "the same, perhaps later within those thirty seconds",
    ),
    "F34": Listed(
        "all of etcd is killed for two leases",
        "the primary stays while it is away, and people notice nothing",
    ),
    "F35": Listed("as F19, and HAProxy as shipped is before the program", "the same"),
}
