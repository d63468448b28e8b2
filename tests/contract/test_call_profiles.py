"""What every profile of calls over HTTP keeps, generated for each file in the folder."""

import json
import re
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dastak.core.errors import CarrierRejected, CarrierUnavailable, MalformedRequest
from dastak.core.outcome import OUTCOMES
from dastak.http_carriers.http_answer import judge
from dastak.http_carriers.http_profile import BodyKind
from dastak.http_voice.call_profile import CallProof, read_call_profile
from dastak.http_voice.call_requests import end_request
from dastak.http_voice.call_settings import (
    CALL_PROFILES,
    CallCarrier,
    read_call_settings,
    wanted_call_secrets,
)
from dastak.http_voice.call_status import Phase, keys_in, read_status
from dastak.voice.prompt_words import all_words
from tests.support.call_samples import (
    TEXT,
    WAYS,
    abroad,
    call_settings_of,
    created,
    some_call,
    some_call_carrier,
    some_pem,
)
from tests.support.http_samples import NOW, some_hook

NAMES = CALL_PROFILES.names()
FORM = "application/x-www-form-urlencoded"
CODE = "482913"


@pytest.fixture(params=NAMES)
def carrier(request: pytest.FixtureRequest) -> CallCarrier:
    return some_call_carrier(request.param)


def test_every_file_of_the_folder_is_a_profile() -> None:
    assert set(NAMES) == {path.stem for path in CALL_PROFILES.folder.glob("*.toml")}
    assert set(NAMES) >= {"twilio", "vonage", "plivo", "exotel", "infobip"}


def test_code_is_in_no_request_but_in_the_text_that_a_weak_vendor_is_given(carrier: CallCarrier) -> None:
    call = some_call(code=CODE, text=f"Your code is {CODE}.", dlt={"var1": CODE})
    requests = [created(carrier, call), end_request(carrier, "CA01", answered=True, now=NOW)]

    written = [f"{one.url}{one.headers}{one.body!r}" for one in requests if one is not None]
    assert not any(CODE in one for one in written)
    weak = not carrier.profile.gated and not carrier.profile.fetches_text
    assert (TEXT in written[0]) is weak


def test_number_arrives_and_nothing_is_left_unfilled(carrier: CallCarrier) -> None:
    for call in (some_call(), abroad()):
        request = created(carrier, call)
        written = request.url + request.body.decode() + "".join(request.headers.values())

        assert call.msisdn[1:] in written
        assert not re.search(r"\{[a-z]", written)
        assert urlsplit(request.url).scheme == "https"


def test_vendor_is_told_where_to_tell(carrier: CallCarrier) -> None:
    request = created(carrier)
    said = json.loads(request.body) if carrier.profile.create.body is BodyKind.JSON else None
    values = leaves(said) if said else [value for _, value in parse_qsl(request.body.decode())]

    assert WAYS.status_url in values
    assert (WAYS.script_url in values) is carrier.profile.gated


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def test_secrets_are_nowhere_in_what_is_shown(carrier: CallCarrier) -> None:
    shown = repr((created(carrier), carrier, carrier.settings, some_call(code=CODE)))

    assert not any(secret in shown for secret in ("k3y", "s1gn", CODE, "9876543210", some_pem()[30:60]))


def test_secret_is_used_and_asked_for(carrier: CallCarrier) -> None:
    name = carrier.settings.profile

    assert "secret" in wanted_call_secrets({"profile": name, "caller": "+12025550100"})
    with pytest.raises(ValueError, match="`secret` is missing"):
        read_call_settings(call_settings_of(name, secret=""))
    if carrier.key is None:
        assert created(carrier) != created(some_call_carrier(name, secret="an0ther"))


def test_service_calls_from_the_number_it_chose_if_the_vendor_allotted_it(carrier: CallCarrier) -> None:
    name, chosen = carrier.settings.profile, "+12025550177"
    allotted = some_call_carrier(name, callers=(chosen,))
    others = (some_call(sender=chosen), some_call(sender="+12025550178"), some_call())

    told = [chosen[1:] in one.url + one.body.decode() for one in map(partial(created, allotted), others)]

    assert told == [True, False, False]


def test_vendor_that_may_not_call_is_refused_when_it_is_written_down(carrier: CallCarrier) -> None:
    for changes in ({"callers": ["+911401234567"]}, {"auto_dialler_declared_on": "2026-13-01"}):
        with pytest.raises(ValueError, match=r"140|month|date"):
            read_call_settings(call_settings_of(carrier.settings.profile, **changes))


def test_vendor_that_signs_nothing_says_so(carrier: CallCarrier) -> None:
    profile = carrier.profile

    assert all(line.endswith(".") for line in profile.not_verified)
    assert (profile.proof is CallProof.PATH) == any("signs nothing" in line for line in profile.not_verified)
    assert profile.source


def test_language_has_one_voice_or_our_recordings(carrier: CallCarrier) -> None:
    assert set(carrier.profile.voices) <= set(all_words())
    assert carrier.profile.voices.keys() >= {"en", "hi"} or carrier.profile.fetches_text


def test_weak_vendor_is_used_only_where_the_operator_says_so(carrier: CallCarrier) -> None:
    name, gated = carrier.settings.profile, carrier.profile.gated

    with pytest.raises(ValueError, match="without_gate"):
        read_call_settings(call_settings_of(name, without_gate=gated))


@pytest.mark.parametrize("status", [200, 201, 400, 401, 429, 500, 503])
@pytest.mark.parametrize("body", [b"", b"not json <", b"{}", b"[]", b"null", b"\xff\xfe"])
def test_strange_answer_is_never_taken_for_a_yes(carrier: CallCarrier, status: int, body: bytes) -> None:
    with pytest.raises((CarrierRejected, CarrierUnavailable)) as refusal:
        judge(carrier.profile.answer, {}, status, body)

    if status == 500:
        assert isinstance(refusal.value, CarrierUnavailable)
        assert refusal.value.outcome_unknown


def test_each_last_word_is_an_outcome_that_ends_a_call(carrier: CallCarrier) -> None:
    assert all(OUTCOMES[outcome].terminal for outcome in carrier.profile.status.outcomes.values())


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = st.sampled_from(["results", "status", "CallStatus", "Status", "dtmf", "digits", "uuid", "groupName"])
TREES = st.recursive(PLAIN, lambda below: st.lists(below) | st.dictionaries(WORDS | st.text(), below))


@pytest.mark.parametrize("name", NAMES)
@given(tree=TREES, octets=st.binary(max_size=60), in_form=st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_octets_tell_something_or_are_refused(name: str, tree: Any, octets: bytes, in_form: bool) -> None:
    profile = some_call_carrier(name).profile
    body = urlencode({profile.status.status: octets}).encode() if in_form else msgspec.json.encode(tree)

    for sent in (body, octets):
        hook = some_hook(sent, content_type=FORM) if in_form else some_hook(sent)
        try:
            reports = read_status(profile.status, {}, hook)
            keys = keys_in(profile.keys, hook)
        except MalformedRequest:
            continue
        assert all(report.phase in Phase and len(report.word) < 100 for report in reports)
        assert re.fullmatch(r"[0-9*#]{0,20}", keys)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("markup = 'twiml'", "never in a request"),
        ("fetches_text = true", "takes `{text}`"),
        ("proof = 'rsa'", "rsa"),
        ("titel = 'A'", "titel"),
    ],
)
def test_profile_that_cannot_be_meant_is_refused(wrong: str, told: str) -> None:
    whole = (CALL_PROFILES.folder / "infobip.toml").read_text()

    with pytest.raises(ValueError, match=re.escape(told)):
        read_call_profile(f"{wrong}\n{whole}".encode())


def test_script_that_would_put_the_code_into_a_request_is_refused() -> None:
    whole = (
        (CALL_PROFILES.folder / "twilio.toml").read_text().replace('Method = "POST"', 'Twiml = "{text}"', 1)
    )

    with pytest.raises(ValueError, match="never in a request"):
        read_call_profile(whole.encode())
