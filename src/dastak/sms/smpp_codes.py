"""The numbers of SMPP 3.4 under the names the standard gives them, and what each command_status means to us.

Source: SMPP Protocol Specification v3.4, sections 5.1.2 to 5.1.4 (header), 5.2 (fields), 5.3 (TLVs).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from dastak.core.outcome import Outcome

RESPONSE_BIT: Final = 0x80000000
# Vendors number their own command_status from here.
VENDOR_STATUS_MIN: Final = 0x400


class Command(IntEnum):
    """The command_ids; a response has RESPONSE_BIT set."""

    BIND_RECEIVER = 0x01
    BIND_TRANSMITTER = 0x02
    QUERY_SM = 0x03
    SUBMIT_SM = 0x04
    DELIVER_SM = 0x05
    UNBIND = 0x06
    REPLACE_SM = 0x07
    CANCEL_SM = 0x08
    BIND_TRANSCEIVER = 0x09
    OUTBIND = 0x0B
    ENQUIRE_LINK = 0x15
    SUBMIT_MULTI = 0x21
    ALERT_NOTIFICATION = 0x102
    DATA_SM = 0x103
    GENERIC_NACK = 0x80000000
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER_RESP = 0x80000002
    QUERY_SM_RESP = 0x80000003
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    REPLACE_SM_RESP = 0x80000007
    CANCEL_SM_RESP = 0x80000008
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK_RESP = 0x80000015
    SUBMIT_MULTI_RESP = 0x80000021
    DATA_SM_RESP = 0x80000103


class Status(IntEnum):
    """The command_status of the standard."""

    ESME_ROK = 0x00
    ESME_RINVMSGLEN = 0x01
    ESME_RINVCMDLEN = 0x02
    ESME_RINVCMDID = 0x03
    ESME_RINVBNDSTS = 0x04
    ESME_RALYBND = 0x05
    ESME_RINVPRTFLG = 0x06
    ESME_RINVREGDLVFLG = 0x07
    ESME_RSYSERR = 0x08
    ESME_RINVSRCADR = 0x0A
    ESME_RINVDSTADR = 0x0B
    ESME_RINVMSGID = 0x0C
    ESME_RBINDFAIL = 0x0D
    ESME_RINVPASWD = 0x0E
    ESME_RINVSYSID = 0x0F
    ESME_RCANCELFAIL = 0x11
    ESME_RREPLACEFAIL = 0x13
    ESME_RMSGQFUL = 0x14
    ESME_RINVSERTYP = 0x15
    ESME_RINVNUMDESTS = 0x33
    ESME_RINVDLNAME = 0x34
    ESME_RINVDESTFLAG = 0x40
    ESME_RINVSUBREP = 0x42
    ESME_RINVESMCLASS = 0x43
    ESME_RCNTSUBDL = 0x44
    ESME_RSUBMITFAIL = 0x45
    ESME_RINVSRCTON = 0x48
    ESME_RINVSRCNPI = 0x49
    ESME_RINVDSTTON = 0x50
    ESME_RINVDSTNPI = 0x51
    ESME_RINVSYSTYP = 0x53
    ESME_RINVREPFLAG = 0x54
    ESME_RINVNUMMSGS = 0x55
    ESME_RTHROTTLED = 0x58
    ESME_RINVSCHED = 0x61
    ESME_RINVEXPIRY = 0x62
    ESME_RINVDFTMSGID = 0x63
    ESME_RX_T_APPN = 0x64
    ESME_RX_P_APPN = 0x65
    ESME_RX_R_APPN = 0x66
    ESME_RQUERYFAIL = 0x67
    ESME_RINVOPTPARSTREAM = 0xC0
    ESME_ROPTPARNOTALLWD = 0xC1
    ESME_RINVPARLEN = 0xC2
    ESME_RMISSINGOPTPARAM = 0xC3
    ESME_RINVOPTPARAMVAL = 0xC4
    ESME_RDELIVERYFAILURE = 0xFE
    ESME_RUNKNOWNERR = 0xFF


class Tag(IntEnum):
    """The TLV tags this program writes or reads; any other tag is kept as a plain number."""

    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


class MessageState(IntEnum):
    """The values of the TLV message_state."""

    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8


# esm_class of a deliver_sm, bits 5 to 2: a receipt or an intermediate notice has one of these two.
ESM_RECEIPT: Final = 0x04
ESM_INTERMEDIATE: Final = 0x20
ESM_UDHI: Final = 0x40
REGISTERED_FINAL_RECEIPT: Final = 1
INTERFACE_VERSION: Final = 0x34

# The link is refused for good until somebody changes the settings: knocking harder does not help.
CREDENTIAL_STATUSES: Final = frozenset({Status.ESME_RBINDFAIL, Status.ESME_RINVPASWD, Status.ESME_RINVSYSID})

# What a refused submit_sm means when its route has no table of its own for the status. The other errors of
# the standard say that a field is wrong: the route's configuration.
_NOT_OUR_FAULT: Final[Mapping[Status, Outcome]] = {
    Status.ESME_ROK: Outcome.ACCEPTED,
    Status.ESME_RSYSERR: Outcome.NETWORK_TEMPORARY,
    Status.ESME_RINVDSTADR: Outcome.UNKNOWN_NUMBER,
    Status.ESME_RMSGQFUL: Outcome.THROTTLED,
    Status.ESME_RSUBMITFAIL: Outcome.NETWORK_TEMPORARY,
    Status.ESME_RTHROTTLED: Outcome.THROTTLED,
    Status.ESME_RX_T_APPN: Outcome.NETWORK_TEMPORARY,
    Status.ESME_RX_P_APPN: Outcome.OPERATOR_REJECT,
    Status.ESME_RX_R_APPN: Outcome.OPERATOR_REJECT,
    # Forward mode: the text did not reach the phone; OsmoMSC says so after the paging timeout.
    Status.ESME_RDELIVERYFAILURE: Outcome.ABSENT_SUBSCRIBER,
    # No reason given, so another route may do; OsmoMSC uses it for a data_coding it does not know.
    Status.ESME_RUNKNOWNERR: Outcome.NETWORK_TEMPORARY,
}
STATUS_OUTCOMES: Final[Mapping[int, Outcome]] = {
    status: _NOT_OUR_FAULT.get(status, Outcome.ROUTE_CONFIG) for status in Status
}
_STATUS_NAMES: Final[Mapping[int, str]] = {status: status.name for status in Status}


def status_name(command_status: int) -> str:
    """Return the standard's name of a status, or its number as `0x00000412`."""
    return _STATUS_NAMES.get(command_status) or f"0x{command_status:08X}"


def read_status(written: str) -> int | None:
    """Read a status as people write it: a name of the standard, `0x412` or `1042`; None for else."""
    if written in Status.__members__:
        return Status[written]
    try:
        number = int(written, 0)
    except ValueError:
        return None
    return number if 0 <= number <= 0xFFFFFFFF else None


def refuses_credentials(command_status: int, *, proved: bool) -> bool:
    """Say whether the answer to a bind means that somebody has to change something first.

    Args:
        command_status: As answered.
        proved: Whether the same bind was taken before, with the same credentials. Carriers say
            ESME_RBINDFAIL of one bind too many as well: they may not have seen yet that the last one ended.
    """
    return command_status in CREDENTIAL_STATUSES and not (proved and command_status == Status.ESME_RBINDFAIL)


def status_outcome(command_status: int) -> Outcome:
    """Return what a submit_sm answered with this status came to.

    A status no standard knows is taken as temporary: another route may do.
    """
    return STATUS_OUTCOMES.get(command_status, Outcome.NETWORK_TEMPORARY)
