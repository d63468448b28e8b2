"""The `claims` parameter: whatever comes is read as the standard says, or refused whole."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dastak.core.oidc_claims import ClaimsWanted, phone_claims, read_claims, signed_claims
from tests.support.oidc_samples import some_client, some_grant, some_login

NUMBER = {"phone_number": "+919876543210", "phone_number_verified": True}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({}, ClaimsWanted()),
        ({"id_token": {}, "userinfo": {}, "else": 1}, ClaimsWanted()),
        ({"id_token": {"acr": None}}, ClaimsWanted()),
        ({"id_token": {"acr": {"value": "a"}}}, ClaimsWanted(acr=("a",))),
        (
            {"id_token": {"acr": {"essential": True, "values": ["a", "b", 3], "x": []}}},
            ClaimsWanted(acr=("a", "b"), acr_essential=True),
        ),
        ({"id_token": {"sub": {"value": "s"}}}, ClaimsWanted(subjects=("s",))),
        ({"userinfo": {"sub": {"value": "s"}, "email": None}}, ClaimsWanted()),
        ({"userinfo": {"phone_number": {"essential": True}}}, ClaimsWanted(phone=True)),
        (
            {"id_token": {"phone_number_verified": None, "auth_time": {"essential": True}}},
            ClaimsWanted(phone=True, signed=("phone_number_verified",)),
        ),
    ],
)
def test_parameter_is_read_as_far_as_we_know_it(said: Any, read: ClaimsWanted) -> None:
    assert read_claims(json.dumps(said)) == read


@pytest.mark.parametrize(
    "text",
    [
        "x", "[]", "1", "null", "{", '{"id_token": []}', '{"id_token": {"acr": 1}}',
        '{"id_token": {"acr": {"essential": "yes"}}}',
        '{"userinfo": {"a": {"values": "b"}}}', '{"id_token": {"acr": ["a"]}}',
        '{"id_token": {"acr": {"value": ' + "[" * 900, '"\udc00"',
    ],
)  # fmt: skip
def test_what_has_not_the_shape_of_the_standard_is_none(text: str) -> None:
    assert read_claims(text) is None


@given(st.text(max_size=200) | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_read_or_none(text: str) -> None:
    assert read_claims(text) is None or text.strip().startswith("{") or not text


def test_token_says_what_was_asked_for_and_may_be_known() -> None:
    grant = some_grant(some_client(), signed=("phone_number",))

    assert phone_claims(grant) == NUMBER
    assert signed_claims(grant) == {"phone_number": NUMBER["phone_number"]}
    assert signed_claims(replace(grant, scopes=("openid",))) == {}
    assert phone_claims(replace(grant, login=some_login(msisdn=None))) == {}
