"""Write logs: one JSON object a line for machines, one line for people, never a number, code or key in clear.

1. Everything is masked at the last moment, when the line is whole: message, extras and traceback alike.
2. A line is bounded, and nothing in it can begin another line or speak to a terminal.
3. Instants are UTC with their offset.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from dastak.core.msisdn import mask

MESSAGE_CHARACTERS_MAX: Final = 4_000
TRACEBACK_CHARACTERS_MAX: Final = 16_000
EXTRAS_MAX: Final = 20

# A phone number: with + (in an address %2B), or bare as SMPP writes it, but no part of a longer word.
_MSISDN: Final = re.compile(
    r"(?<![0-9A-Za-z_.])(?:(?P<plus>\+|%2[Bb])(?=(?:[ ()-]?[0-9]){7})|(?=[0-9]{10}))"
    r"(?P<digits>[0-9](?:[ ()-]?[0-9]){6,14})(?![0-9A-Za-z_])"
)
_KEY: Final = re.compile(r"\bdk_(live|team|test)_[0-9A-Za-z_-]+")
_AUTHORIZATION: Final = re.compile(r"\b(Bearer|Basic) +[^\s\"']+", re.IGNORECASE)
# Four characters with a digit among them, after a word for a secret. `code` names errors too, without digits.
# Blanks are taken once and for all (`*+`) and the digit is looked for so far only: a line costs no more than
# its length, whoever wrote it.
_NAMED: Final = re.compile(
    r"\b(?P<name>codes?|otp|password|passwd|pepper|secret|token)(?P<between>[\"']?\s*+(?:[:=]|\bis\b)?\s*+[\"']?)"
    r"(?=[^\s\"',;&}]{0,200}[0-9])[^\s\"',;&}]{4,}",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# What every record has; anything else was given as `extra`.
_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
_HIDDEN_EXTRAS: Final = {"code", "otp", "password", "secret", "token", "authorization", "cookie", "key"}


def setup_logs(level: str, style: Literal["auto", "json", "human"], stream: TextIO | None = None) -> None:
    """Send all logs of this process to one stream, once; standard error if none is given."""
    logging.basicConfig(level=level.upper(), handlers=[handler_to(stream or sys.stderr, style)], force=True)
    logging.captureWarnings(capture=True)


def handler_to(stream: TextIO, style: Literal["auto", "json", "human"]) -> logging.Handler:
    """Return what writes records to a stream."""
    human = style == "human" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter() if human else JsonFormatter())
    return handler


class JsonFormatter(logging.Formatter):
    """One record is one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; JSON itself escapes line ends and what a terminal would obey."""
        line: dict[str, Any] = {
            "at": _at(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()[:MESSAGE_CHARACTERS_MAX]),
            **_extras(record),
        }
        if record.exc_info:
            line["traceback"] = masked(self.formatException(record.exc_info)[-TRACEBACK_CHARACTERS_MAX:])
        return json.dumps(line, ensure_ascii=True)


class HumanFormatter(logging.Formatter):
    """One record is one line for a terminal; a traceback follows it, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record in the order of the eye: when, how serious, where, what."""
        extras = "".join(f"  {name}={value}" for name, value in _extras(record).items())
        message = masked(record.getMessage()[:MESSAGE_CHARACTERS_MAX])
        where = record.name.removeprefix("dastak.")
        line = escaped(f"{_at(record):%H:%M:%S} {record.levelname:<7} {where}: {message}{extras}")
        if not record.exc_info:
            return line
        told = masked(self.formatException(record.exc_info)[-TRACEBACK_CHARACTERS_MAX:])
        return "\n    ".join((line, *(escaped(piece) for piece in told.splitlines())))


def masked(text: str) -> str:
    """Return a text without whole phone numbers, keys, and values that are named as a code or password."""
    text = _KEY.sub(r"dk_\1_***", text)
    text = _AUTHORIZATION.sub(r"\1 ***", text)
    text = _NAMED.sub(r"\g<name>\g<between>***", text)
    return _MSISDN.sub(_mask_msisdn, text)


def escaped(text: str) -> str:
    """Return a text whose control characters are written as `\\x1b`."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _mask_msisdn(found: re.Match[str]) -> str:
    hidden = mask("+" + re.sub(r"[^0-9]", "", found["digits"]))
    return hidden if found["plus"] else hidden.removeprefix("+")


def _at(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a caller gave as `extra`, masked; numbers and truth values stay as they are."""
    extras: dict[str, Any] = {}
    for name, value in vars(record).items():
        if name in _STANDARD or len(extras) >= EXTRAS_MAX:
            continue
        if name.lower() in _HIDDEN_EXTRAS:
            extras[name] = "***"
        elif value is None or isinstance(value, bool | float):
            extras[name] = value
        else:
            text = masked(str(value)[:MESSAGE_CHARACTERS_MAX])
            extras[name] = value if isinstance(value, int) and text == str(value) else text
    return extras
