"""Logs: one object a line, masked at the last moment, and nothing in it can pretend to be another line."""

import io
import json
import logging
import time
from datetime import datetime

import pytest

from dastak.telemetry.logs import (
    MESSAGE_CHARACTERS_MAX,
    HumanFormatter,
    JsonFormatter,
    masked,
    setup_logs,
)

KEY = "dk_live_4f2a9c_Zz09AbCdEfGhIjKlMnOpQrStUv"


def record(message, *arguments, exc_info=None, **extra):
    made = logging.LogRecord("dastak.edge", logging.WARNING, "x.py", 1, message, arguments, exc_info)
    vars(made).update(extra)
    return made


def as_json(made):
    line = JsonFormatter().format(made)
    assert "\n" not in line
    return json.loads(line)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to +919876543210.", "to +9198******10."),
        ("from 919876543210", "from 9198******10"),
        ("GET /v1/x?to=%2B919876543210&a=1", "GET /v1/x?to=+9198******10&a=1"),
        ("call +91 98765 43210 now", "call +9198******10 now"),
        ("(+44 20 7946 0000)", "(+4420******00)"),
        (f"key {KEY}, bad", "key dk_live_***, bad"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("code=482913", "code=***"),
        ('{"code": "48a913"}', '{"code": "***"}'),
        ("your code is 482913", "your code is ***"),
        ("password: hunter22", "password: ***"),
        ("code: not_found", "code: not_found"),
        ("status code 404", "status code 404"),
        ("ver_5f0c1d2e3b4a59687786a5b4c3d2e1f0", "ver_5f0c1d2e3b4a59687786a5b4c3d2e1f0"),
        (
            "2026-11-23T10:00:00.000+00:00 took 0.1234567890 s",
            "2026-11-23T10:00:00.000+00:00 took 0.1234567890 s",
        ),
    ],
)
def test_numbers_keys_and_codes_are_masked(text, shown):
    assert masked(text) == shown


def test_a_record_is_one_object_with_an_instant_in_utc():
    line = as_json(record("bound to %s", "airtel", request_id="req_1", tenant=7))

    at = datetime.fromisoformat(line.pop("at"))
    assert at.utcoffset() is not None
    assert line == {
        "level": "warning",
        "logger": "dastak.edge",
        "message": "bound to airtel",
        "request_id": "req_1",
        "tenant": 7,
    }


@pytest.mark.parametrize("formatter", [JsonFormatter(), HumanFormatter()])
def test_nothing_begins_another_line_or_speaks_to_the_terminal(formatter):
    line = formatter.format(record("agent %s", 'a\r\n{"fake":1}\x1b[31m\u2028\x9b', agent="x\ny\x07"))

    assert line.isprintable()


@pytest.mark.parametrize("formatter", [JsonFormatter(), HumanFormatter()])
def test_nothing_secret_gets_through_whichever_way_it_came(formatter):
    try:
        raise ValueError(f"+919876543210 {KEY} code=482913")
    except ValueError as error:
        failure = (ValueError, error, error.__traceback__)

    line = formatter.format(
        record(
            "sent to %s with %s",
            "+919876543210",
            KEY,
            exc_info=failure,
            to="+919876543210",
            code="482913",
            n=919876543210,
        )
    )

    for secret in ("9876543210", "876543", KEY, "Zz09AbCd", "482913"):
        assert secret not in line
    assert "ValueError" in line


def test_a_line_is_bounded():
    line = as_json(record("x" * 100_000, **{f"extra_{n}": "y" * 100_000 for n in range(50)}))

    assert len(line["message"]) == MESSAGE_CHARACTERS_MAX
    assert len(json.dumps(line)) < 100_000


@pytest.fixture
def root():
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logging.captureWarnings(capture=False)
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.parametrize(
    ("style", "terminal", "is_json"), [("auto", True, False), ("auto", False, True), ("json", True, True)]
)
def test_setup_writes_for_people_only_on_a_terminal(root, style, terminal, is_json):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    setup_logs("info", style, stream)

    logging.getLogger("dastak.worker").info("continuing +919876543210")
    logging.getLogger("dastak.worker").debug("not shown")

    (line,) = stream.getvalue().splitlines()
    assert line.startswith("{") is is_json
    assert "+9198******10" in line


def test_setup_twice_writes_once(root):
    stream = io.StringIO()
    setup_logs("info", "json", stream)
    setup_logs("info", "json", stream)

    logging.getLogger("dastak").warning("once")

    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    "piece",
    [
        "code ",
        "code=",
        "token: ",
        "code is ",
        " is",
        "0 ",
        "+ (",
        "+1 ",
        "%2B",
        "dk_live_",
        "bearer ",
        'code"',
    ],
)
@pytest.mark.parametrize("first", ["", "code", "code =", "bearer"])
@pytest.mark.parametrize("blank", ["", " " * 8_000])
def test_masking_takes_time_in_proportion_to_the_text(first, piece, blank):
    text = (first + blank + piece * (16_000 // len(piece)))[:16_000]

    began_s = time.process_time()
    masked(text)

    # In milliseconds, and 9 s where the blanks were tried in every way they divide.
    assert time.process_time() - began_s < 0.5
