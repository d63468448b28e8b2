"""Chain values in the three modes, against the ids printed in the operators' own pages."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import InvalidRequest
from dastak.dlt.chain import FORM_DEFAULT, TM_IDS_MAX, Chain, ChainMode, chain_value

PE = "1101172974420810001"
TMS = ("1101172974420820002", "1101172974420820003", "1101172974420830004")
ids = st.from_regex(r"[0-9]{6,25}", fullmatch=True)


def chain(*tm_ids, mode=ChainMode.SHA256, pe_id=PE, **more):
    return Chain(pe_id=pe_id, route="north", mode=mode, tm_ids=tm_ids, **more)


@pytest.mark.parametrize(
    ("tm_ids", "value"),
    [
        (TMS[2:], "c0c951afca257c5b87c3da535c09112080483f35b7e6faf35e2428b3b526b694"),
        ((TMS[0], TMS[2]), "ba38bbe4ab3780a70aad6071c006e720eed8efc1ff70b00691d3b6844e6497e2"),
        (TMS, "d3133e436040034d9e95932ea93a1f82c37e1d98803229f835d8f3124e77e07f"),
    ],
)
def test_hash_is_the_one_of_the_known_ids(tm_ids, value):
    # The ids are those of the pages; the values are ours from the rule the pages print.
    assert chain_value(chain(*tm_ids)) == value
    assert chain_value(chain(*tm_ids, capitals=True)) == value.upper()
    assert chain_value(chain(*(f" {tm_id}\t" for tm_id in tm_ids), pe_id=f"{PE} ")) == value


def test_clear_list_has_the_form_a_route_wants():
    assert chain_value(chain(*TMS[:2], mode=ChainMode.CLEAR)) == f"{PE},{TMS[0]},{TMS[1]}"
    assert chain_value(chain(*TMS[:2], mode=ChainMode.CLEAR, form="{tm...}")) == f"{TMS[0]},{TMS[1]}"
    assert chain_value(chain(mode=ChainMode.CLEAR, form="{pe}")) == PE


def test_a_route_that_adds_the_chain_itself_is_told_nothing():
    assert chain_value(chain(mode=ChainMode.NONE)) is None


@given(ids, st.lists(ids, min_size=1, max_size=TM_IDS_MAX))
def test_hash_is_over_the_clear_list(pe_id, tm_ids):
    clear = chain_value(chain(*tm_ids, pe_id=pe_id, mode=ChainMode.CLEAR))

    assert clear == ",".join([pe_id, *tm_ids])
    assert chain_value(chain(*tm_ids, pe_id=pe_id)) == hashlib.sha256(clear.encode()).hexdigest()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pe_id": "11011729744208100O1"}, "pe_id"),
        ({"pe_id": "12345"}, "pe_id"),
        ({"tm_ids": ("1101172974420820002,",)}, "tm_ids"),
        ({"tm_ids": ("٣٣٣٣٣٣٣",)}, "tm_ids"),
        ({"tm_ids": ()}, "tm_ids"),
        ({"tm_ids": (TMS[0],) * (TM_IDS_MAX + 1)}, "tm_ids"),
        ({"form": "{pe}%2C{tm...}"}, "form"),
        ({"form": "{pe},{tm}"}, "form"),
        ({"form": "{pe}{pe}"}, "form"),
        ({"form": "{pe"}, "form"),
        ({"form": ""}, "form"),
        ({"form": "{pe}" + "," * 61}, "form"),
    ],
)
def test_what_no_portal_would_know_is_refused(changes, field):
    given_ = {"pe_id": PE, "route": "north", "mode": ChainMode.SHA256, "tm_ids": TMS, "form": FORM_DEFAULT}

    with pytest.raises(InvalidRequest) as refused:
        Chain(**(given_ | changes))

    assert refused.value.field == field
