from pathlib import Path
from typing import Any

import pytest

from dastak.carriers.carrier_codes import Where, read_code
from dastak.carriers.carrier_kinds import KINDS, read_settings
from dastak.core.carrier import CarrierKind
from dastak.core.errors import InvalidRequest
from dastak.core.outcome import Outcome
from dastak.http_voice.call_settings import CALL_PROFILES, read_call_settings
from dastak.http_voice.call_words import Voice
from tests.support.call_samples import call_settings_of, some_call_carrier


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"profile": "twillio"}, "Did you mean `twilio`?"),
        ({"profile": ""}, "give `profile` or `profile_file`"),
        ({"profile_file": "/x"}, "give `profile` or `profile_file`"),
        ({"account": ""}, "`account` is missing: the Account SID"),
        ({"caller": "Acme"}, "caller"),
        ({"caller": "+911400123456"}, "140 series"),
        ({"callers": ["Acme"]}, "callers"),
        ({"options": {"machine_detect": "1"}}, "Did you mean `machine_detection`?"),
        ({"base_url": "http://api.example.com"}, "must begin with https://"),
        ({"without_gate": True}, "leave without_gate away"),
        ({"calls_max": 0}, "calls_max"),
        ({"ring_s": 61}, "ring_s"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_in_words(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRequest, match="http_voice") as refusal:
        read_settings(CarrierKind.HTTP_VOICE, call_settings_of("twilio", **changes))

    assert told in refusal.value.detail
    assert "k3y" not in refusal.value.detail


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("exotel", {"options": {"sid": "acme1"}}, "options has no `flow`"),
        ("infobip", {"without_gate": False}, "a voicemail too"),
        ("exotel", {"recordings": True}, "plays no recordings"),
        ("vonage", {"secret": "k3y"}, "private key"),
        ("vonage", {"proof_secret": ""}, "`proof_secret` is missing"),
        ("vonage", {"voices": {"ta": {"language": "ta-IN", "voice": "Aditi"}}}, "number of a style"),
    ],
)
def test_each_vendor_says_what_it_wants(name: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_call_settings(call_settings_of(name, **changes))


def test_numbers_may_be_written_as_numbers() -> None:
    carrier = some_call_carrier("exotel", account=12345, options={"sid": 7, "flow": 9})

    assert (carrier.settings.account, carrier.options["flow"]) == ("12345", "9")


def test_voice_is_the_operators_or_the_profiles_or_none() -> None:
    own = Voice(language="ur-IN", voice="Some.Voice")
    carrier = some_call_carrier("twilio", voices={"ur": {"language": "ur-IN", "voice": "Some.Voice"}})

    assert carrier.voice_of("ur") == own
    assert carrier.voice_of("en") == Voice(language="en-US", voice="Polly.Joanna")
    assert carrier.voice_of("or") is None
    assert some_call_carrier("twilio", recordings=True).voice_of("en") is None


def test_own_profile_is_named_by_its_whole_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("title = 'Mine'")

    with pytest.raises(ValueError, match="whole path"):
        CALL_PROFILES.own(Path("mine.toml"))
    with pytest.raises(ValueError, match="missing required field"):
        CALL_PROFILES.own(file)


def test_words_of_a_vendor_are_explained_by_its_tables() -> None:
    carrier = some_call_carrier("twilio", outcomes={"busy": "declined"})

    def read(code: str) -> list[tuple[Where, str, Outcome]]:
        found = read_code(CarrierKind.HTTP_VOICE, carrier, code)
        return [(one.where, one.table, one.outcome) for one in found]

    assert (Where.RECEIPT, "outcomes", Outcome.DECLINED) in read("busy")
    assert read("21211") == [(Where.ANSWER, "the profile", Outcome.UNKNOWN_NUMBER)]
    assert read("failed:404") == [(Where.RECEIPT, "the profile", Outcome.UNKNOWN_NUMBER)]
    assert read("nonsense") == []


def test_kind_keeps_its_secrets_apart_and_is_called_back() -> None:
    kind = KINDS[CarrierKind.HTTP_VOICE]

    assert (kind.secrets, kind.hooked, kind.speaks) == ({"secret", "proof_secret"}, True, True)
    asked = kind.asked({"profile": "vonage", "caller": "+12025550100"})
    assert asked == {"secret", "proof_secret"}
