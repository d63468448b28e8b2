"""What an operator may write down about a carrier, and what it makes of a submit_sm."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from dastak.core.outcome import Outcome
from dastak.sms.pdu import decode_sm
from dastak.sms.pdu_bodies import Sm
from dastak.sms.smpp_codes import Status, Tag
from dastak.sms.smpp_settings import SmppSettings
from dastak.sms.submission import encode_submission
from tests.support.smpp_pair import submission

NOW = datetime(2026, 11, 24, 18, 40, tzinfo=UTC)
LEAST = {"host": "smsc.example", "port": 2775, "system_id": "x", "password": "x"}


def read(document: dict[str, Any]) -> SmppSettings:
    """Read settings as they come from JSON."""
    return msgspec.json.decode(msgspec.json.encode(LEAST | document), type=SmppSettings)


def written(document: dict[str, Any], **changes: Any) -> Sm:
    return decode_sm(encode_submission(submission(**changes), read(document), now=lambda: NOW))


@pytest.mark.parametrize(
    ("document", "validity_period"),
    [
        ({}, "000000000500000R"),
        ({"validity": "none"}, ""),
        ({"validity": "absolute"}, "261124184500000+"),
        # 330 minutes are 22 quarters of an hour; the day is over there.
        ({"validity": "absolute", "utc_offset_min": 330}, "261125001500022+"),
        ({"validity": "absolute", "utc_offset_min": -210}, "261124151500014-"),
    ],
)
def test_validity_is_written_as_the_carrier_wants_it(document: dict[str, Any], validity_period: str) -> None:
    assert written(document).validity_period == validity_period


@pytest.mark.parametrize(
    ("mode", "alone", "with_header"),
    [("default", 0, 0x40), ("datagram", 1, 0x41), ("forward", 2, 0x42), ("store_and_forward", 3, 0x43)],
)
def test_esm_mode_goes_beside_the_header_bit(mode: str, alone: int, with_header: int) -> None:
    assert written({"esm_mode": mode}).esm_class == alone
    assert written({"esm_mode": mode}, esm_class=0x40).esm_class == with_header


def test_fields_of_the_carrier_are_written() -> None:
    wanted = {"service_type": "OTP", "protocol_id": 0x41, "priority_flag": 2, "registered_delivery": 17}

    sm = written(wanted)

    assert {name: getattr(sm, name) for name in wanted} == wanted


def test_statuses_are_written_as_people_know_them() -> None:
    settings = read(
        {
            "status_outcomes": {
                "0x412": "dlt_template",
                "1043": "throttled",
                "ESME_RX_P_APPN": "unknown_number",
            }
        }
    )

    assert settings.statuses == {
        0x412: Outcome.DLT_TEMPLATE,
        1043: Outcome.THROTTLED,
        Status.ESME_RX_P_APPN: Outcome.UNKNOWN_NUMBER,
    }


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"status_outcomes": {"ESME_WHAT": "throttled"}}, "command_status"),
        ({"status_outcomes": {"-1": "throttled"}}, "command_status"),
        ({"status_outcomes": {"1": "maybe"}}, "maybe"),
        ({"binds": 0}, "binds"),
        ({"binds": 33}, "binds"),
        ({"utc_offset_min": 20}, "utc_offset_min"),
        ({"priority_flag": 4}, "priority_flag"),
        ({"protocol_id": 256}, "protocol_id"),
        ({"service_type": "TOOLONG"}, "service_type"),
        ({"languages": ["klingon"]}, "languages"),
        ({"correlation": "guess"}, "correlation"),
        ({"tlvs": [{"tag": 1, "value": "{"}]}, "tlvs"),
        ({"window": 1001}, "window"),
        ({"also_at": ["two:three"]}, "also_at"),
        ({"also_at": ["http://smsc"]}, "also_at"),
        ({"also_at": ["a@b"]}, "also_at"),
        ({"also_at": [""]}, "also_at"),
        ({"send_reference": False, "correlation": "reference"}, "send_reference"),
        ({"no_such": 1}, "no_such"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        read(document)


def test_every_setting_says_what_it_is_for() -> None:
    assert SmppSettings.__doc__ is not None
    described = re.findall(r"^        ([a-z_]+): ", SmppSettings.__doc__, re.MULTILINE)

    assert tuple(described) == SmppSettings.__struct_fields__


def test_password_is_not_shown() -> None:
    settings = read({"password": "very-secret"})

    assert "very-secret" not in repr(settings)


def test_reference_is_left_out_where_a_carrier_refuses_tlvs() -> None:
    assert written({}).tlvs == ((Tag.USER_MESSAGE_REFERENCE, b"\0\0"),)
    assert written({"send_reference": False}).tlvs == ()


def test_further_addresses_have_their_own_port_or_that_of_the_first() -> None:
    settings = read({"also_at": ["b.example", "10.0.0.3:3000", "[::1]:3001"]})

    assert settings.addresses == (
        ("smsc.example", 2775),
        ("b.example", 2775),
        ("10.0.0.3", 3000),
        ("::1", 3001),
    )
