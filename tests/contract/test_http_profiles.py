"""What every profile of an HTTP carrier keeps, generated for each file in the folder."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dastak.core.errors import CarrierRejected, CarrierUnavailable, MalformedRequest
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.http_carriers.hook_receipts import read_receipts
from dastak.http_carriers.http_answer import judge_answer
from dastak.http_carriers.http_profile import UNIT_MS, AuthKind, BodyKind
from dastak.http_carriers.http_render import HttpRequest
from dastak.http_carriers.http_settings import PROFILES, HttpCarrier, shared_codes, wanted_secrets
from tests.support.http_samples import DLT, rendered, some_carrier, some_hook, some_outgoing

NAMES = PROFILES.names()
FORM = "application/x-www-form-urlencoded"
TEXTS = {
    "ascii": "Your Acme code is 482913.",
    "hindi": "आपका कोड 482913 है।",
    "marks": '482913 is your code &=+#@%" {secret} \\ /?;\nAcme',
    "emoji": "482913 🔑",
}


@pytest.fixture(params=NAMES)
def carrier(request: pytest.FixtureRequest) -> HttpCarrier:
    return some_carrier(request.param)


def values_in(request: HttpRequest, carrier: HttpCarrier) -> list[Any]:
    """Return every value that a server would read out of a request."""
    found: list[Any] = (
        [value for _, value in parse_qsl(urlsplit(request.url).query, strict_parsing=True)]
        if (urlsplit(request.url).query)
        else []
    )
    kind = carrier.profile.request.body
    if kind is BodyKind.FORM:
        found += [value for _, value in parse_qsl(request.body.decode(), strict_parsing=True)]
    if kind is BodyKind.JSON:
        found += leaves(msgspec.json.decode(request.body))
    return found


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def test_every_file_of_the_folder_is_a_profile() -> None:
    assert set(NAMES) == {path.stem for path in PROFILES.folder.glob("*.toml")}
    assert len(NAMES) >= 10
    for path in (PROFILES.folder / "codes").glob("*.toml"):
        assert shared_codes(path.stem)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_or_code_arrives_as_it_was_written(carrier: HttpCarrier, text: str) -> None:
    request = rendered(carrier, some_outgoing(text))

    wanted = text if carrier.profile.content == "text" else "482913"
    shown = values_in(request, carrier)
    assert wanted in shown or wanted.encode("utf-16-be").hex().upper() in shown


@pytest.mark.parametrize("msisdn", ["+919876543210", "+12025550123"])
def test_number_arrives_and_nothing_is_left_unfilled(carrier: HttpCarrier, msisdn: str) -> None:
    request = rendered(carrier, some_outgoing(msisdn=Msisdn(msisdn)))

    written = request.url + request.body.decode() + "".join(request.headers.values())
    assert msisdn[3:] in written
    assert not re.search(r"\{[a-z]", written.replace('{"', ""))
    assert urlsplit(request.url).scheme == "https"


@pytest.mark.parametrize("validity_s", [1, 5, 59, 300, 10**6])
def test_life_stays_within_what_the_carrier_takes(carrier: HttpCarrier, validity_s: int) -> None:
    ttl = carrier.profile.request.ttl
    if ttl is None:
        assert "{ttl" not in repr(carrier.profile.request)
        return

    shown = values_in(rendered(carrier, some_outgoing(validity_s=validity_s)), carrier)

    wanted = min(max(validity_s * 1000 // UNIT_MS[ttl.unit], ttl.least), ttl.most)
    assert wanted in shown or str(wanted) in shown


def test_ids_of_indias_register_go_to_indian_numbers_alone(carrier: HttpCarrier) -> None:
    abroad = rendered(carrier, some_outgoing(msisdn=Msisdn("+12025550123")))
    none = rendered(carrier, some_outgoing(dlt={}))

    written = f"{abroad.url}{abroad.body!r}{none.url}{none.body!r}"
    assert not any(DLT[name] in written for name in ("pe_id", "template_id", "chain"))
    assert "dlt" not in written.lower()


def test_same_message_is_the_same_request_and_another_is_another(carrier: HttpCarrier) -> None:
    one, again = rendered(carrier), rendered(carrier)
    other = rendered(carrier, some_outgoing("Another text", code="111222", dlt={"var1": "111222"}))

    assert one == again
    assert one.body + one.url.encode() != other.body + other.url.encode()


def test_secrets_are_nowhere_in_what_is_shown(carrier: HttpCarrier) -> None:
    request = rendered(carrier)

    shown = repr((request, carrier, carrier.settings, some_outgoing()))
    assert not any(secret in shown for secret in ("k3y", "s1gn", "482913", "9876543210"))


def test_secret_is_used_and_asked_for(carrier: HttpCarrier) -> None:
    name = carrier.settings.profile
    other = some_carrier(name, secret="an0ther")

    assert (rendered(carrier) == rendered(other)) is (carrier.profile.auth.kind is AuthKind.NONE)
    assert "secret" in wanted_secrets({"profile": name})


@pytest.mark.parametrize("status", [200, 201, 202, 400, 401, 429, 500, 503])
@pytest.mark.parametrize(
    "body", [b"", b"not json <", b"{}", b"[]", b"null", b'{"messages":[[]]}', b"\xff\xfe"]
)
def test_strange_answer_is_never_taken_for_a_yes(carrier: HttpCarrier, status: int, body: bytes) -> None:
    if carrier.profile.answer.own_ref and carrier.profile.answer.ok_when is None:
        pytest.skip("its status alone says yes")

    with pytest.raises((CarrierRejected, CarrierUnavailable)) as refusal:
        judge_answer(carrier, status, body, own_id="own")

    if status == 500:
        assert isinstance(refusal.value, CarrierUnavailable)
        assert refusal.value.outcome_unknown
    if status in (401, 429) and isinstance(refusal.value, CarrierRejected):
        assert refusal.value.outcome == {401: "route_config", 429: "throttled"}[status]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"[" * 5000, b"a=%FF", b"\xff", b'{"a":', b"null", b"7"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_strange_webhook_is_refused_in_words(carrier: HttpCarrier, body: bytes, kind: str) -> None:
    with pytest.raises(MalformedRequest):
        read_receipts("main", carrier, some_hook(body, content_type=kind))


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = st.sampled_from(["results", "report", "data", "requestId", "messageId", "status", "error", "Message"])
TREES = st.recursive(PLAIN, lambda below: st.lists(below) | st.dictionaries(WORDS | st.text(), below))


@pytest.mark.parametrize("name", NAMES)
@given(tree=TREES, octets=st.binary(max_size=60), in_form=st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_octets_are_receipts_or_are_refused(name: str, tree: Any, octets: bytes, in_form: bool) -> None:
    carrier = some_carrier(name)
    body = msgspec.json.encode(tree)
    form = carrier.profile.receipt
    if in_form and form is not None:
        body = urlencode({form.json_field or form.ref: body}).encode()

    for sent in (body, octets):
        hook = some_hook(sent, content_type=FORM) if in_form else some_hook(sent)
        try:
            receipts = read_receipts("main", carrier, hook)
        except MalformedRequest:
            continue
        assert all(receipt.carrier.ref and len(receipt.evidence) < 120 for receipt in receipts)


@pytest.mark.parametrize("name", NAMES)
@given(tree=TREES, octets=st.binary(max_size=60), status=st.integers(200, 599))
@settings(max_examples=60, deadline=None)
def test_any_answer_is_a_yes_a_no_or_unclear(name: str, tree: Any, octets: bytes, status: int) -> None:
    for body in (msgspec.json.encode(tree), octets):
        assert judged(some_carrier(name), status, body)


def judged(carrier: HttpCarrier, status: int, body: bytes) -> tuple[str, ...] | Outcome | bool:
    """Judge an answer: its ids, what a refusal means, or that nobody can tell."""
    try:
        return judge_answer(carrier, status, body, own_id="own")
    except CarrierRejected as refusal:
        return Outcome(refusal.outcome) if refusal.status else False
    except CarrierUnavailable as unclear:
        return unclear.outcome_unknown


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_text_arrives_as_it_was_written(name: str, text: str) -> None:
    carrier = some_carrier(name)

    shown = values_in(rendered(carrier, some_outgoing(text)), carrier)

    assert (text if carrier.profile.content == "text" else "482913") in shown


def test_profile_says_what_nobody_verified(carrier: HttpCarrier) -> None:
    profile = PROFILES.shipped(carrier.settings.profile)

    assert all(line.endswith(".") for line in profile.not_verified)
    assert profile.source
