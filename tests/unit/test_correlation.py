"""A ref can be computed from both sides, whatever a carrier does to ids, references and addresses."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dastak.sms.correlation import RECENT_MAX, Correlation, Correlator, Trace

PHONE, SENDER = "919876543210", "ACMEOT"
numbers = st.integers(1, 2**60)
phones = st.from_regex(r"[1-9][0-9]{9,14}", fullmatch=True)
references = st.integers(0, 0xFFFF)


# What a carrier does: how it writes an id in the answer, and how in the receipt.
CARRIERS: dict[Correlation, list[tuple[Callable[[int], str], Callable[[int], str]]]] = {
    Correlation.MESSAGE_ID: [(str, str), ("{:08X}".format, "{:08X}".format)],
    Correlation.NORMALISED: [("{:x}".format, "{:016X}".format), ("{:020d}".format, str)],
    Correlation.HEX_TO_DEC: [("{:x}".format, str), ("{:016X}".format, "{:020d}".format)],
    Correlation.DEC_TO_HEX: [(str, "{:x}".format), ("{:020d}".format, "{:016X}".format)],
    Correlation.AUTO: [
        ("{:x}".format, "{:x}".format),
        ("{:x}".format, str),
        (str, "{:X}".format),
        ("{:020d}".format, str),
    ],
}
BY_ID = [(strategy, *forms) for strategy, carriers in CARRIERS.items() for forms in carriers]


@pytest.mark.parametrize(("strategy", "answer", "report"), BY_ID)
@given(number=numbers, reference=references)
def test_id_is_found_in_every_form(
    strategy: Correlation,
    answer: Callable[[int], str],
    report: Callable[[int], str],
    number: int,
    reference: int,
) -> None:
    stored = Correlator(strategy).submitted(Trace(answer(number), reference, PHONE, SENDER))

    # Another process reads the receipt: it remembers nothing.
    assert stored in Correlator(strategy).candidates(Trace(report(number), None, PHONE, SENDER))


@given(reference=references, phone=phones, sender=st.sampled_from(["ACMEOT", "", "56161", "+442071838750"]))
def test_reference_and_addresses_are_found_as_carriers_write_them(
    reference: int, phone: str, sender: str
) -> None:
    for strategy, back in (
        (Correlation.REFERENCE, reference),
        (Correlation.REFERENCE_LOW, reference & 0xFF),
        (Correlation.REFERENCE_LOW, reference),
        (Correlation.ADDRESSES, None),
    ):
        stored = Correlator(strategy).submitted(Trace("useless", reference, phone, sender))
        for seen_phone, seen_sender in (
            (phone, sender),
            ("+" + phone, sender.lower()),
            ("0" + phone[-9:], sender.removeprefix("+")),
            (sender, phone),
            (phone, sender or "CARRIER"),
        ):
            trace = Trace("00000003", back, seen_phone, seen_sender)
            assert stored in Correlator(strategy).candidates(trace), (strategy, trace)


@pytest.mark.parametrize("strategy", Correlation)
def test_receipt_that_says_nothing_has_no_candidates(strategy: Correlation) -> None:
    found = Correlator(strategy).candidates(Trace("", None, PHONE, SENDER))

    assert bool(found) is (strategy is Correlation.ADDRESSES)


@given(first=references, second=references)
def test_references_differ_where_messages_do(first: int, second: int) -> None:
    assume(first & 0xFF != second & 0xFF)
    refs = {
        Correlator(strategy).submitted(Trace("x", reference, PHONE, SENDER))
        for strategy in (Correlation.REFERENCE, Correlation.REFERENCE_LOW)
        for reference in (first, second)
    }

    assert len(refs) == 4


def test_carrier_with_useless_ids_is_told_by_the_low_reference() -> None:
    ours = Correlator(Correlation.AUTO)
    stored = [
        ours.submitted(Trace("msg_id_not_implemented", 0x1200 + n, PHONE, SENDER)) for n in range(0x30, 0x33)
    ]

    assert len(set(stored)) == 3
    for n, ref in zip(range(0x30, 0x33), stored, strict=True):
        receipt = Trace(f"{n - 0x2F:08d}", n, PHONE, SENDER)
        assert ours.candidates(receipt) == (ref,)
        assert ref in Correlator(Correlation.AUTO).candidates(receipt)


def test_id_that_comes_twice_is_found_to_be_useless() -> None:
    ours = Correlator(Correlation.AUTO)
    refs = [ours.submitted(Trace("QUEUED", n, PHONE, SENDER)) for n in range(3)]

    assert refs[0] == "queued"
    assert len(set(refs)) == 3
    assert ours.candidates(Trace("QUEUED", 2, PHONE, SENDER)) == (refs[2],)


def test_carrier_that_counts_from_the_beginning_again_is_believed() -> None:
    ours = Correlator(Correlation.AUTO)
    ids = [f"{n:x}" for n in range(0x10, 0x30)]
    before = [ours.submitted(Trace(message_id, 1, "919876500001", SENDER)) for message_id in ids]

    again = [ours.submitted(Trace(message_id, 2, "919876500002", SENDER)) for message_id in ids]

    assert again == before == ids
    assert ours.candidates(Trace("1f", None, "919876500002", SENDER)) == ("1f",)


def test_recent_message_of_the_phone_makes_it_sure() -> None:
    ours = Correlator(Correlation.AUTO)
    ours.submitted(Trace("10", 1, "919876500001", SENDER))
    ours.submitted(Trace("16", 2, "919876500002", SENDER))

    # 16 is the first one's id in decimal and the second one's as it stands: the phone tells.
    assert ours.candidates(Trace("16", None, "919876500001", SENDER)) == ("10",)
    assert ours.candidates(Trace("16", None, "919876500002", SENDER)) == ("16",)
    assert ours.candidates(Trace("16", None, "919876500003", SENDER)) == ("16", "10", "22")


@given(
    st.sampled_from(Correlation),
    st.text(max_size=70),
    st.none() | st.integers(0, 2**32),
    st.text(max_size=25),
    st.text(max_size=25),
)
def test_any_receipt_has_a_bounded_number_of_candidates(
    strategy: Correlation, message_id: str, reference: int | None, phone: str, sender: str
) -> None:
    trace = Trace(message_id, reference, phone, sender)

    assert len(Correlator(strategy).candidates(trace)) <= 6
    assert isinstance(Correlator(strategy).submitted(trace), str)


class MemoryIsBoundedAndNeverLies(RuleBasedStateMachine):
    """Whatever ids come, the newest messages are found, and no more than so many are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.ours = Correlator(Correlation.AUTO)
        self.count = 0

    @rule(repeat=st.booleans())
    def submit_and_report(self, repeat: bool) -> None:
        self.count += 1
        message_id = "same" if repeat else f"{self.count:x}"
        trace = Trace(message_id, self.count & 0xFFFF, PHONE, SENDER)
        stored = self.ours.submitted(trace)
        assert stored in self.ours.candidates(trace)

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.ours._young) + len(self.ours._old) <= 2 * RECENT_MAX


TestMemoryIsBoundedAndNeverLies = MemoryIsBoundedAndNeverLies.TestCase


def test_oldest_message_is_forgotten_first() -> None:
    ours = Correlator(Correlation.AUTO)
    refs = [ours.submitted(Trace(f"{n + 0x1000:x}", 0, PHONE, SENDER)) for n in range(3 * RECENT_MAX)]

    kept = [ref for ref in refs if ours._phone_of(ref)]
    assert RECENT_MAX <= len(kept) <= 2 * RECENT_MAX
    assert kept == refs[-len(kept) :]
