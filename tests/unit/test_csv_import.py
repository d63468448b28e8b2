"""Exports of DLT portals become registers; a bad row costs itself and no other, whatever the octets."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import InvalidRequest
from dastak.dlt.csv_import import Fault, Imported, import_csv
from dastak.dlt.csv_rows import CELL_CHARACTERS_MAX, CELLS_MAX, SEPARATORS, rows
from dastak.dlt.register import Category, Entity, Register, Standing

PE = "1101172974420810001"
HEAD = "Template ID,Template Name,Header,Template Type,Template Content,Status,Approved On"
TEXT = '"{#numeric#} is your Acme code, valid 5 min."'
ONE = f"1107161234567890123,Login,ACMEOT,Service Implicit,{TEXT},Approved,03-02-2026"
NONE = Register()


def imported(text: str, register: Register = NONE, pe_id: str | None = PE) -> Imported:
    return import_csv(register, text.encode(), pe_id=pe_id)


def test_row_becomes_a_template_with_its_header_and_entity() -> None:
    register = imported(f"{HEAD}\n{ONE}\n").register

    (template,) = register.templates
    assert template.text == "{#numeric#} is your Acme code, valid 5 min."
    assert (template.category, template.standing) == (Category.SERVICE_IMPLICIT, Standing.ACTIVE)
    assert str(template.approved_on) == "2026-02-03"
    assert [header.name for header in register.headers] == ["ACMEOT"]
    assert register.entities == (Entity(pe_id=PE),)


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_and_encoding_are_found(separator: str, encoding: str) -> None:
    text = separator.join(("DLT Template ID", "Sender ID", "Message")) + "\r\n"
    text += separator.join(("'1107161234567890123", "ACMEOT", "आपका कोड {#numeric#} है")) + "\r\n"

    (template,) = import_csv(Register(), text.encode(encoding), pe_id=PE).register.templates

    assert (template.template_id, template.text) == ("1107161234567890123", "आपका कोड {#numeric#} है")


def test_titles_above_the_names_are_passed_over() -> None:
    assert imported(f"Report of templates\n\nACME LTD,2026\n{HEAD}\n{ONE}\n").added == 1


def test_bad_rows_are_told_by_line_and_cost_no_other() -> None:
    bad_id = ONE.replace("1107161234567890123", "abc")
    unclosed = ONE.replace('min."', "min.").replace("1107161234567890123", "1107161234567890124")
    strange = ONE.replace("Service Implicit", "Miscellaneous").replace("890123", "890125")
    last = ONE.replace("890123", "890126")

    done = imported("\n".join((HEAD, bad_id, unclosed, strange, last, "")))

    assert [template.template_id for template in done.register.templates] == ["1107161234567890126"]
    assert done.faults == (
        Fault(2, "`template_id` must be 6 to 25 digits, as the portal shows it."),
        Fault(3, "a quote is not closed"),
        Fault(4, "its category `Miscellaneous` is none that is known"),
    )


def test_known_template_is_replaced_and_the_others_stay() -> None:
    other = ONE.replace("890123", "890124")
    before = imported(f"{HEAD}\n{ONE}\n{other}\n").register

    done = imported(f"{HEAD}\n{ONE.replace('Approved', 'Blacklisted')}\n", before, pe_id=None)

    assert (done.added, done.replaced) == (0, 1)
    assert [template.standing for template in done.register.templates] == [
        Standing.BLACKLISTED,
        Standing.ACTIVE,
    ]


def test_rows_without_an_entity_say_so() -> None:
    done = imported(f"{HEAD}\n{ONE}\n", pe_id=None)

    assert done.faults == (Fault(2, "it names no entity; say which one it is"),)


@pytest.mark.parametrize("octets", [b"", b"a,b,c\n1,2,3\n", b"PK\x03\x04spreadsheet"])
def test_file_that_is_no_export_is_refused_in_words(octets: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        import_csv(Register(), octets)

    assert refused.value.field == "file"


@given(st.binary(max_size=400))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    for before in (b"", f"{HEAD}\n".encode()):
        try:
            done = import_csv(Register(), before + octets, pe_id=PE)
        except InvalidRequest:
            continue
        assert msgspec.json.decode(msgspec.json.encode(done.register), type=Register) == done.register


@given(st.text('",\n\r;ab', max_size=80), st.sampled_from(SEPARATORS))
def test_rows_know_their_lines_and_none_is_lost(text: str, separator: str) -> None:
    found = list(rows(text, separator))

    lines = [row.line for row in found]
    assert lines == sorted(set(lines))
    assert all(line <= text.count("\n") + text.count("\r") + 1 for line in lines)


@given(st.lists(st.lists(st.text('ab,"\n', max_size=6), min_size=1, max_size=4), max_size=5))
def test_what_a_spreadsheet_writes_is_read_back(table: list[list[str]]) -> None:
    quoted = "\r\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table)

    found = [list(row.cells) for row in rows(quoted, ",")]

    assert found == [row for row in table if any(cell.strip() for cell in row)]


def test_huge_rows_are_refused_one_by_one() -> None:
    wide = "x," * (CELLS_MAX + 1)
    long = "y" * (CELL_CHARACTERS_MAX + 2)

    found = list(rows(f"{wide}\n{long}\nz\n", ","))

    assert [row.line for row in found] == [1, 2, 3]
    assert [bool(row.fault) for row in found] == [True, True, False]
