"""The trunk by the library baresip-python: what its words mean, and what its settings must not want."""

from typing import Any

import msgspec
import pytest

from dastak.voice import sip_settings
from dastak.voice.baresip_line import CallEnd, closed
from dastak.voice.sip.call_outcomes import CallOutcome, read_overrides
from dastak.voice.sip_settings import BARESIP_CALLS_MAX, SipSettings

LEAST = {
    "adapter": "baresip",
    "host": "trunk.example",
    "caller": "+911600100200",
    "probe_s": 0,
    "session_s": 0,
}


def read(**changes: Any) -> SipSettings:
    return msgspec.convert(LEAST | changes, SipSettings)


@pytest.mark.parametrize(
    ("text", "outcome", "words"),
    [
        ("486 Busy Here", CallOutcome.BUSY, "486 Busy Here"),
        ("603 Decline", CallOutcome.DECLINED, "603 Decline"),
        ("404 Not Found", CallOutcome.INVALID_NUMBER, "404 Not Found"),
        ("480 Gone, Q.850;cause=20", CallOutcome.ABSENT, "480 Temporarily Unavailable, cause 20"),
        ("503 Sorry Q.850;cause=17;text=busy", CallOutcome.BUSY, "503 Service Unavailable, cause 17"),
        ("407 Who are you", CallOutcome.AUTH_FAILED, "407 Proxy Authentication Required"),
        ("Connection timed out [110]", CallOutcome.UNREACHABLE, "no answer of the trunk"),
        ("", CallOutcome.UNREACHABLE, "no answer of the trunk"),
    ],
)
def test_end_of_a_call_is_read_from_the_words_of_the_library(
    text: str, outcome: CallOutcome, words: str
) -> None:
    assert closed(text) == CallEnd(outcome, words)


def test_rows_of_a_trunk_count_before_the_table() -> None:
    assert closed("486 Busy Here", read_overrides({"486/*": "absent"})).outcome is CallOutcome.ABSENT


def test_words_of_a_trunk_are_not_repeated() -> None:
    assert "919876543210" not in closed("404 No such number 919876543210").words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transport": "tls"}, "transport = tls"),
        ({"register": True, "username": "shop", "password": "pw"}, "register"),
        ({"prack": True}, "prack"),
        ({"name_server": "192.0.2.53"}, "name_server"),
        ({"probe_s": 30}, "probe_s"),
        ({"session_s": 90}, "session_s"),
        ({"srtp": "offered", "srtp_in_clear": True}, "srtp"),
        ({"calls_max": BARESIP_CALLS_MAX + 1}, "calls at once"),
    ],
)
def test_what_the_library_does_not_do_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="adapter = baresip") as refused:
        read(**changes)

    assert words in str(refused.value)


def test_adapter_without_its_library_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_settings, "baresip_installed", lambda: False)
    with pytest.raises(msgspec.ValidationError, match=r"pip install '\.\[voice-baresip\]' in the checkout"):
        read()


def test_own_engine_is_the_one_without_a_word() -> None:
    settings = msgspec.convert({"host": "trunk.example", "caller": "+911600100200"}, SipSettings)

    assert settings.adapter == "dastak"
    assert read(calls_max=BARESIP_CALLS_MAX).adapter == "baresip"
