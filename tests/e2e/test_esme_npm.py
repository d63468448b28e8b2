"""Our ESME against an SMSC nobody of us wrote (npm smpp), well-behaved and not."""

from pathlib import Path

import pytest

from dastak.core.errors import CarrierRejected, CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.sms.dlr import is_receipt
from dastak.sms.esme import BindState
from dastak.sms.smpp_codes import Status
from dastak.sms.smpp_settings import Tls
from tests.support.authority import Authority
from tests.support.npm_peer import npm_smsc
from tests.support.smpp_pair import Ends, esme, soon, submission


async def test_submit_is_read_field_by_field_and_the_receipt_is_acknowledged() -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port) as client:
        await soon(client.wait_bound())
        accepted = await client.submit(
            submission(user_message_reference=0x1234, tlvs=((0x1400, b"1101234567890123456\0"),))
        )
        submit = await peer.said()
        receipt = await ends.receipt()
        response = await peer.said()

    assert accepted.message_id == "id-00"
    wanted = {
        "command": "submit_sm",
        "source_addr": "DASTAK",
        "source_addr_ton": 5,
        "source_addr_npi": 0,
        "destination_addr": "919876500000",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "esm_class": 0,
        "registered_delivery": 1,
        "data_coding": 0,
        "short_message": "Your code is 424242",
        "user_message_reference": 0x1234,
        "pe_id": "1101234567890123456",
    }
    assert {name: submit[name] for name in wanted} == wanted
    assert (receipt.message_id, receipt.outcome) == ("id-00", Outcome.DELIVERED)
    assert response == {"command": "deliver_sm_resp", "status": 0}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"password": "wrong"}, "ESME_RINVPASWD"), ({"system_id": "who"}, "ESME_RINVSYSID")],
)
async def test_refused_bind_tells_why(changes: dict[str, str], reason: str) -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port, **changes):
        assert await ends.until_state(BindState.REFUSED) == reason


@pytest.mark.parametrize(("n", "status"), [(1, "ESME_RTHROTTLED"), (2, "0x00000412"), (6, "ESME_RSYSERR")])
async def test_error_with_or_without_body_leaves_the_link_usable(n: int, status: str) -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port) as client:
        await soon(client.wait_bound())
        with pytest.raises(CarrierRejected) as rejected:
            await client.submit(submission(n))
        accepted = await client.submit(submission(0))

    assert rejected.value.status == status
    assert accepted.message_id == "id-00"


async def test_no_answer_is_an_unknown_outcome() -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port, response_timeout_s=0.3) as client:
        await soon(client.wait_bound())
        with pytest.raises(CarrierUnavailable) as unavailable:
            await client.submit(submission(3))
        accepted = await client.submit(submission(0))

    assert unavailable.value.outcome_unknown
    assert accepted.message_id == "id-00"


async def test_dropped_link_is_an_unknown_outcome_and_comes_back() -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port) as client:
        await ends.until_state(BindState.BOUND)
        with pytest.raises(CarrierUnavailable) as unavailable:
            await client.submit(submission(4))
        await ends.until_state(BindState.BOUND)
        accepted = await client.submit(submission(0))

    assert unavailable.value.outcome_unknown
    assert accepted.message_id == "id-00"


async def test_receipt_may_come_before_the_answer() -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port) as client:
        await soon(client.wait_bound())
        accepted = await client.submit(submission(5))

        assert ends.deliveries.qsize() == 1
        assert (await ends.receipt()).message_id == accepted.message_id == "id-05"


async def test_unknown_command_gets_generic_nack() -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port) as client:
        await soon(client.wait_bound())
        await client.submit(submission(7))
        await peer.said()
        nack = await peer.said()

    assert (nack["command"], nack["command_status"], nack["sequence_number"]) == (
        "generic_nack",
        Status.ESME_RINVCMDID,
        0x63,
    )


async def test_alert_notification_and_data_sm_are_understood() -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port) as client:
        await soon(client.wait_bound())
        await client.submit(submission(8))
        alert = await soon(ends.alerts.get())
        delivery = await ends.delivery()
        delivery.acknowledge(0)
        await peer.said()
        response = await peer.said()

    assert alert.source_addr == "919876500008"
    assert (is_receipt(delivery.sm.esm_class), delivery.sm.text_octets) == (False, b"STOP")
    assert response == {"command": "data_sm_resp", "status": 0}


async def test_unbind_by_the_carrier_is_answered_and_bound_again() -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port) as client:
        await ends.until_state(BindState.BOUND)
        await client.submit(submission(9))
        await peer.said()

        assert await peer.said() == {"command": "unbind_resp", "status": 0}
        assert await ends.until_state(BindState.DOWN) == "unbound by the peer"
        await ends.until_state(BindState.BOUND)


async def test_idle_link_lives_by_enquire_link() -> None:
    ends = Ends()
    async with npm_smsc() as peer, esme(ends, peer.port, enquire_link_s=0.5) as client:
        await ends.until_state(BindState.BOUND)
        asked = [await peer.said() for _ in range(4)]

        assert asked == [{"command": "enquire_link"}] * 4
        assert ends.states == []
        assert (await client.submit(submission())).message_id == "id-00"


async def test_stop_unbinds() -> None:
    async with npm_smsc() as peer:
        async with esme(Ends(), peer.port) as client:
            await soon(client.wait_bound())

        assert await peer.said() == {"command": "unbind"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority.make(tmp_path / "ours")
    authority.issue("smsc")
    authority.issue("esme")
    return authority


def served(authority: Authority) -> dict[str, str]:
    return {
        name: authority.text(f) for name, f in (("key", "smsc.key"), ("cert", "smsc.pem"), ("ca", "ca.pem"))
    }


@pytest.mark.parametrize("server_name", [None, "smsc.test"])
async def test_bind_over_tls_with_a_private_authority_and_our_certificate(
    authority: Authority, server_name: str | None
) -> None:
    tls = Tls(
        ca_file=authority.path("ca.pem"),
        cert_file=authority.path("esme.pem"),
        key_file=authority.path("esme.key"),
        server_name=server_name,
    )
    async with npm_smsc(**served(authority)) as peer, esme(Ends(), peer.port, tls=tls) as client:
        await soon(client.wait_bound())

        assert (await client.submit(submission())).message_id == "id-00"


async def test_carrier_of_another_authority_or_name_is_not_believed(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority.make(tmp_path / "other")
    wrong_authority = Tls(ca_file=other.path("ca.pem"))
    wrong_name = Tls(ca_file=authority.path("ca.pem"), server_name="elsewhere.test")
    async with npm_smsc(**served(authority)) as peer:
        for tls in (wrong_authority, wrong_name):
            ends = Ends()
            async with esme(ends, peer.port, tls=tls):
                assert "certificate verify failed" in await ends.until_state(BindState.DOWN)


async def test_carrier_that_asks_for_a_certificate_gets_none_and_hangs_up(authority: Authority) -> None:
    ends = Ends()
    tls = Tls(ca_file=authority.path("ca.pem"))
    async with npm_smsc(**served(authority)) as peer, esme(ends, peer.port, tls=tls):
        await ends.until_state(BindState.DOWN)

        assert all(state is not BindState.BOUND for state, _ in ends.states)
