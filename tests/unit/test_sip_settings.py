"""What a SIP trunk wants of its settings, and what they become."""

from typing import Any

import msgspec
import pytest

from dastak.voice import sip_settings
from dastak.voice.sip.call_outcomes import CallOutcome
from dastak.voice.sip.sip_digest import Credentials
from dastak.voice.sip.sip_registration import Registrar
from dastak.voice.sip_settings import SipSettings

LEAST = {"host": "trunk.example", "caller": "+911600100200"}


def read(**changes: Any) -> SipSettings:
    return msgspec.convert(LEAST | changes, SipSettings)


def test_least_settings_fail_over_quickly_and_prove_nothing() -> None:
    line = read().line()

    assert (line.host, line.port, line.trunk.transport) == ("trunk.example", None, "UDP")
    assert line.trunk.timing.silence_s == 5.0
    assert (line.credentials, line.registrar, line.tls) == (None, None, None)
    assert (line.trunk.prack, line.trunk.assert_identity) == (False, False)


def test_registered_trunk_is_registered_with_under_the_username() -> None:
    line = read(username="shop 7", password="pw", register=True, register_s=120, domain="sip.example").line()

    assert line.credentials == Credentials("shop 7", "pw")
    assert line.registrar == Registrar(
        uri="sip:sip.example", address="sip:shop%207@sip.example", expires_s=120
    )


def test_trunk_is_shaped_as_it_wants() -> None:
    line = read(
        transport="tls",
        silence_s=8,
        ring_s=40,
        prack=True,
        session_s=0,
        assert_identity=True,
        outcomes={"503/17": "busy"},
    ).line()

    assert (line.port, line.trunk.reliable, line.trunk.ring_s) == (None, True, 40.0)
    assert line.tls is not None
    assert line.trunk.timing.silence_s == 8.0
    assert (line.trunk.prack, line.trunk.session_s, line.trunk.assert_identity) == (True, 0, True)
    assert line.trunk.overrides == {(503, 17): CallOutcome.BUSY}


@pytest.mark.parametrize(
    "changes",
    [
        {"register": True},
        {"username": "shop"},
        {"silence_s": 0},
        {"session_s": 60},
        {"register_s": 10},
        {"caller": "shop"},
        {"caller": "+91\r\n160"},
        {"rtp_ports": [20_000, 20_001]},
        {"outcomes": {"17": "busy"}},
        {"name_server": "dns.example"},
        {"name_server": "300.1.1.1"},
        {"probe_s": 0.1},
        {"outbound_proxy": "proxy.example;lr"},
        {"outbound_proxy": "proxy.example>\r\nX: y"},
        {"outbound_proxy": "proxy.example:0"},
        {"srtp": "offered"},
        {"srtp": "required", "transport": "tcp"},
        {"srtp": "sometimes", "transport": "tls"},
        {"surprise": 1},
    ],
)
def test_settings_refuse(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"transport": "tls", "srtp": "required"},
        {"transport": "udp", "srtp": "offered", "srtp_in_clear": True},
    ],
)
def test_keys_travel_where_nobody_reads_them_or_where_it_is_said(changes: dict[str, Any]) -> None:
    assert read(**changes).srtp == changes["srtp"]


def test_encrypted_sound_without_its_extra_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sip_settings, "srtp_installed", lambda: False)

    with pytest.raises(msgspec.ValidationError, match=r"pip install '\.\[voice-srtp\]' in the checkout"):
        read(transport="tls", srtp="required")
    assert read(transport="tls").srtp == "off"


@pytest.mark.parametrize(
    ("told", "address"),
    [("", None), ("192.0.2.53", ("192.0.2.53", 53)), ("192.0.2.53:99", ("192.0.2.53", 99))],
)
def test_name_server_is_read(told: str, address: tuple[str, int] | None) -> None:
    assert read(name_server=told).line().name_server == address


@pytest.mark.parametrize(
    ("transport", "proxy", "reached", "route"),
    [
        ("udp", "proxy.example", ("proxy.example", None), "<sip:proxy.example;lr>"),
        ("tls", "proxy.example:5080", ("proxy.example", 5080), "<sip:proxy.example:5080;transport=tls;lr>"),
        ("tcp", "[2001:db8::1]:5080", ("2001:db8::1", 5080), "<sip:[2001:db8::1]:5080;transport=tcp;lr>"),
    ],
)
def test_proxy_is_reached_instead_of_the_host_and_named_in_a_route(
    transport: str, proxy: str, reached: tuple[str, int | None], route: str
) -> None:
    line = read(transport=transport, outbound_proxy=proxy, port=5099, username="shop", password="pw").line()

    assert (line.host, line.port) == reached
    assert line.trunk.routes == (route,)
    assert line.probe_uri == "sip:trunk.example"


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"host": "192.0.2.1", "silence_s": 12}, 24),
        # A call that is not heard at one server of a name is tried at another.
        ({"silence_s": 12}, 36),
        ({"host": "192.0.2.1", "outbound_proxy": "proxy.example"}, 22),
        ({"outbound_proxy": "[2001:db8::1]:5080", "progress_s": 2}, 7),
    ],
)
def test_phone_is_waited_for_longer_than_the_trunk_may_be_silent(
    changes: dict[str, Any], seconds: float
) -> None:
    assert read(**changes).heard_within_s == seconds
