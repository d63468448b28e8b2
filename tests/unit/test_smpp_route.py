"""What one text becomes on the wire: parts of one alphabet, each with a header and the life that is left."""

import pytest

from dastak.core.ids import VerificationId
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.msisdn import Msisdn
from dastak.core.way_out import Outgoing
from dastak.sms.esme import Accepted
from dastak.sms.smpp_route import SmppRoute
from dastak.sms.smpp_settings import SmppSettings
from dastak.sms.submission import Done, Submission


class Bind:
    """Takes submissions and numbers them."""

    def __init__(self) -> None:
        self.taken: list[Submission] = []

    def submit_nowait(self, submission: Submission, done: Done) -> None:
        self.taken.append(submission)
        done(Accepted(f"00A{len(self.taken)}"))


def outgoing(text: str) -> Outgoing:
    key = MessageKey(VerificationId(bytes(range(16))), 2)
    return Outgoing(key, Msisdn("+919876543210"), text, "ACMEOT", 299)


@pytest.fixture
def route() -> SmppRoute:
    settings = SmppSettings(host="127.0.0.1", port=1, system_id="x", password="x")
    return SmppRoute("airtel", settings, lambda receipt, acknowledge: None)


async def sent(route: SmppRoute, text: str) -> tuple[list[Submission], CarrierRef]:
    bind = Bind()
    route._group = bind
    ref = await route.submit(outgoing(text))
    return bind.taken, ref


async def test_short_text_goes_out_alone(route: SmppRoute) -> None:
    taken, ref = await sent(route, "123456 is your Acme code.")

    (only,) = taken
    assert (only.octets, only.data_coding, only.esm_class) == (b"123456 is your Acme code.", 0, 0)
    assert (only.sender, only.validity_s, only.user_message_reference) == ("ACMEOT", 299, 0x0003)
    assert ref == CarrierRef("airtel", "a1")


async def test_parts_share_one_alphabet_even_where_a_part_is_plain(route: SmppRoute) -> None:
    taken, ref = await sent(route, "कोड " * 15 + "\n" + "@login.acme.in #123456 " * 3)

    assert len(taken) == 2
    assert {part.data_coding for part in taken} == {8}
    assert [part.octets[:6] for part in taken] == [bytes((5, 0, 3, 3, 2, n)) for n in (1, 2)]
    assert {part.esm_class for part in taken} == {0x40}
    assert ref == CarrierRef("airtel", "a2")
