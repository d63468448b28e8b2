"""Receipts as carriers really write them, and what they mean."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.outcome import Outcome
from dastak.sms.dlr import Dlr, id_forms, is_receipt, normal_id, parse_dlr
from dastak.sms.pdu_bodies import Sm
from dastak.sms.receipt_codes import DLT_CODES, MAP_ERRORS, STAT_OUTCOMES, STATS, reason_outcome
from dastak.sms.smpp_codes import MessageState, Status, Tag, status_name, status_outcome
from dastak.sms.tlv import Tlv, encode_tlvs


def receipt(text: bytes, *tlvs: Tlv) -> Sm:
    return Sm(esm_class=0x04, short_message=text, tlv_octets=encode_tlvs(tlvs))


def test_parse_reads_the_text_of_the_standard() -> None:
    head = b"id:7f3a sub:001 dlvrd:001 submit date:2611231059 done date:2611231102 stat:DELIVRD err:000 text:"

    assert parse_dlr(receipt(head + b"hello")) == Dlr(
        message_id="7f3a",
        stat="DELIVRD",
        err="000",
        done_date="2611231102",
        utc_offset=timedelta(0),
        outcome=Outcome.DELIVERED,
        user_message_reference=None,
        raw=head.decode(),
    )


def test_parse_reads_what_osmomsc_sends() -> None:
    # Seen from Debian's osmo-msc 1.9.0: the dates are letters, the reference has its low 8 bits only.
    dates = b"submit date:YYMMDDhhmm done date:YYMMDDhhmm"
    text = b"id:00000003 sub:000 dlvrd:000 " + dates + b" stat:DELIVRD err:000 text:"

    dlr = parse_dlr(receipt(text, (Tag.USER_MESSAGE_REFERENCE, b"\x00\x34")))

    assert (dlr.message_id, dlr.done_at, dlr.outcome) == ("00000003", None, Outcome.DELIVERED)
    assert dlr.user_message_reference == 0x34


# 0x11 is where the GSM alphabet has the underscore.
@pytest.mark.parametrize("key", [b"done date", b"Done_Date", b"donedate", b"done\x11date"])
def test_parse_reads_the_date_whatever_joins_the_words_of_its_key(key: bytes) -> None:
    dlr = parse_dlr(receipt(b"stat:DELIVRD " + key + b":2611231059 id:1"))

    assert (dlr.stat, dlr.message_id, dlr.done_date) == ("DELIVRD", "1", "2611231059")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"id:1 stat:DELIVRD", ("1", "DELIVRD", "")),
        (b"ID:1 STAT:delivrd ERR:0A1", ("1", "DELIVRD", "0A1")),
        (b"stat:EXPIRED err:000 id:55", ("55", "EXPIRED", "000")),
        (b"id: 1 stat: UNDELIV err: ABSENT-SUB text: stat:DELIVRD", ("1", "UNDELIV", "ABSENT-SUB")),
        (b"id:1 submit_date:2611231059 Done_Date:2611231059 stat:REJECTD err:633", ("1", "REJECTD", "633")),
        (b"id:1 newkey:abc stat:DELIVRD err:000 Text:id:2", ("1", "DELIVRD", "000")),
        (b"", ("", "", "")),
        (b"no receipt at all", ("", "", "")),
    ],
)
def test_parse_scans_for_keys(text: bytes, expected: tuple[str, str, str]) -> None:
    dlr = parse_dlr(receipt(text))

    assert (dlr.message_id, dlr.stat, dlr.err) == expected


@pytest.mark.parametrize(
    ("digits", "done_at"),
    [
        (b"2611231102", datetime(2026, 11, 23, 11, 2, tzinfo=UTC)),
        (b"261123110259", datetime(2026, 11, 23, 11, 2, 59, tzinfo=UTC)),
        (b"9999999999", None),
        (b"26112311", None),
        (b"", None),
        (b"YYMMDDhhmm", None),
        ("٢٦١١٢٣١١٠٢".encode("utf-16-be")[:10], None),
    ],
)
def test_parse_reads_dates_or_leaves_them_out(digits: bytes, done_at: datetime | None) -> None:
    assert parse_dlr(receipt(b"id:1 done date:" + digits + b" stat:DELIVRD")).done_at == done_at


def test_err_hides_what_may_be_a_quoted_code() -> None:
    dlr = parse_dlr(receipt(b"id:1 stat:UNDELIV err:633 Your code is 424242 or A1B2C3, ok"))

    assert (dlr.err, dlr.outcome) == ("633 Your code is • or •, ok", Outcome.NETWORK_TEMPORARY)


def test_parse_takes_the_carriers_clock_into_account() -> None:
    india = timedelta(hours=5, minutes=30)

    dlr = parse_dlr(receipt(b"done date:2611231632"), utc_offset=india)

    assert dlr.done_at == datetime(2026, 11, 23, 11, 2, tzinfo=UTC)


def test_parse_believes_tlvs_before_the_text() -> None:
    text = b"id:wrong stat:DELIVRD err:000"
    tlvs: list[Tlv] = [
        (Tag.RECEIPTED_MESSAGE_ID, b"right\0"),
        (Tag.MESSAGE_STATE, bytes([MessageState.UNDELIVERABLE])),
        (Tag.NETWORK_ERROR_CODE, b"\x03\x00\x1b"),
    ]

    dlr = parse_dlr(receipt(text, *tlvs))

    assert (dlr.message_id, dlr.stat, dlr.outcome) == ("right", "UNDELIV", Outcome.ABSENT_SUBSCRIBER)


def test_parse_takes_the_first_of_two_equal_tlvs_and_fields() -> None:
    tlvs: list[Tlv] = [(Tag.RECEIPTED_MESSAGE_ID, b"first\0"), (Tag.RECEIPTED_MESSAGE_ID, b"second\0")]

    assert parse_dlr(receipt(b"", *tlvs)).message_id == "first"
    assert parse_dlr(receipt(b"id:first id:second")).message_id == "first"


def test_parse_reads_the_text_in_message_payload() -> None:
    payload: Tlv = (Tag.MESSAGE_PAYLOAD, b"id:1 stat:EXPIRED")

    assert parse_dlr(receipt(b"", payload)).outcome is Outcome.EXPIRED


def test_raw_ends_before_the_quoted_message() -> None:
    dlr = parse_dlr(receipt(b"id:1 stat:DELIVRD Text:Your code is 424242"))

    assert dlr.raw == "id:1 stat:DELIVRD Text:"


@pytest.mark.parametrize(
    ("stat", "err", "outcome"),
    [
        ("DELIVRD", "001", Outcome.DELIVERED),
        ("UNDELIV", "000", Outcome.NETWORK_TEMPORARY),
        ("UNDELIV", "001", Outcome.UNKNOWN_NUMBER),
        ("UNDELIV", "27", Outcome.ABSENT_SUBSCRIBER),
        ("UNDELIV", "031", Outcome.HANDSET_BUSY_OR_MEMORY),
        ("UNDELIV", "633", Outcome.DLT_TEMPLATE),
        ("UNDELIV", "INBOX FULL", Outcome.HANDSET_BUSY_OR_MEMORY),
        ("UNDELIV", "0A1", Outcome.NETWORK_TEMPORARY),
        ("REJECTD", "620", Outcome.DLT_HEADER),
        ("REJECTD", "614", Outcome.DLT_CHAIN),
        ("REJECTD", "", Outcome.OPERATOR_REJECT),
        ("EXPIRED", "633", Outcome.EXPIRED),
        ("FAILED_DND", "", Outcome.BARRED_OR_DND),
        ("", "", Outcome.UNKNOWN),
        ("NEVERSEEN", "", Outcome.UNKNOWN),
    ],
)
def test_outcome_comes_from_stat_and_where_that_says_little_from_err(
    stat: str, err: str, outcome: Outcome
) -> None:
    assert parse_dlr(receipt(f"id:1 stat:{stat} err:{err}".encode())).outcome is outcome


def test_table_of_the_route_goes_before_the_hints() -> None:
    text = receipt(b"id:1 stat:UNDELIV err:633")

    assert parse_dlr(text, table={"633": Outcome.SPAM_OR_CONTENT}).outcome is Outcome.SPAM_OR_CONTENT
    assert parse_dlr(text, table={"UNDELIV": Outcome.EXPIRED}).outcome is Outcome.EXPIRED


@given(
    st.binary(max_size=254), st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=10)), max_size=4)
)
def test_parse_reads_anything(text: bytes, tlvs: list[Tlv]) -> None:
    known: list[Tlv] = [(tag, value) for tag, (_, value) in zip(Tag, tlvs, strict=False)]

    for some in (tlvs, known):
        assert parse_dlr(receipt(text, *some)).outcome in Outcome


@given(st.from_regex(r"(id|stat|err|done date|text):[ -~]{0,12}", fullmatch=True).map(str.encode))
def test_parse_reads_anything_that_looks_like_a_receipt(text: bytes) -> None:
    assert parse_dlr(receipt(text)).outcome in Outcome


@pytest.mark.parametrize(
    ("esm_class", "expected"),
    [(0x00, False), (0x04, True), (0x20, True), (0x40, False), (0x44, True), (0x08, False)],
)
def test_is_receipt_by_esm_class(esm_class: int, expected: bool) -> None:
    assert is_receipt(esm_class) is expected


@pytest.mark.parametrize(
    ("answered", "reported"),
    [
        ("7f3a", "7f3a"),
        ("7F3A", "7f3a"),
        ("00007F3A", "32570"),
        ("32570", "7F3A"),
        ("0032570", "32570"),
        ("1a2082f518e", str(0x1A2082F518E)),
        ("msg_id_not_implemented", "msg_id_not_implemented"),
        ("a1-b2", "A1-B2"),
    ],
)
def test_id_forms_find_the_answer_in_either_base(answered: str, reported: str) -> None:
    assert normal_id(answered) in id_forms(reported)


@given(st.text(max_size=64))
def test_id_forms_take_any_id_and_begin_with_itself(message_id: str) -> None:
    assert id_forms(message_id)[0] == normal_id(message_id)
    assert len(id_forms(message_id)) <= 3


def test_parse_of_a_huge_text_takes_no_time() -> None:
    texts = [b"id:" + b" " * 60_000, b"id: " + b"a" * 60_000, b"id:a b" * 10_000, b"id :" * 15_000]

    for text in texts:
        parse_dlr(receipt(b"", (Tag.MESSAGE_PAYLOAD, text)))


def test_tables_are_complete() -> None:
    assert set(STATS) == set(MessageState)
    assert set(STATS.values()) == set(STAT_OUTCOMES)
    assert not set(MAP_ERRORS) & set(DLT_CODES)


@pytest.mark.parametrize("err", ["1" * 4000, "²", "٣"])
def test_reason_that_only_looks_like_a_number_is_no_number(err: str) -> None:
    assert reason_outcome(err) is None


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_name_and_an_outcome(status: Status) -> None:
    assert status_name(status) == status.name
    assert isinstance(status_outcome(status), Outcome)


def test_vendor_status_keeps_its_number_and_counts_as_temporary() -> None:
    assert status_name(0x412) == "0x00000412"
    assert status_outcome(0x412) is Outcome.NETWORK_TEMPORARY
