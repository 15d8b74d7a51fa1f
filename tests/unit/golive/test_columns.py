"""The header of a table: forgiving about names, strict about what would make a wrong patient."""

from __future__ import annotations

import pytest

from ophl7.golive.columns import COLUMNS, plain, read_header, recognised
from tests.packaging.test_docs import ROOT

NEEDED = ["id", "last_name", "first_name", "birth_date", "sex"]


@pytest.mark.parametrize("name", ["birth_date", "Birth Date", "BIRTHDATE", "Patient Birth-Date", "DOB", "Date of Birth"])
def test_case_blanks_and_punctuation_of_a_name_do_not_count(name: str) -> None:
    header = read_header(["MRN", "Last", "Given Name", name, "Gender"], "pm", owner=True)
    assert header.places == {"id": 0, "last_name": 1, "first_name": 2, "birth_date": 3, "sex": 4}


def test_no_name_means_two_columns() -> None:
    names = [plain(name) for column, others in COLUMNS.items() for name in (column, *others)]
    assert len(set(names)) == len(names)


def test_what_is_not_known_is_left_out_and_named_with_what_was_probably_meant() -> None:
    header = read_header([*NEEDED, "Balance", "", "Adress"], "pm", owner=True)
    assert header.unknown == ("Balance", "Adress (did you mean street?)")
    assert header.width == 8


@pytest.mark.parametrize("missing", NEEDED[1:])
def test_the_owners_list_must_be_able_to_create_the_others_need_not(missing: str) -> None:
    names = [name for name in NEEDED if name != missing]
    with pytest.raises(ValueError, match=f"no column {missing}: without"):
        read_header(names, "pm", owner=True)
    assert "id" in read_header(names, "pm", owner=False).places


def test_a_column_of_the_sides_own_ids_is_its_id_column() -> None:
    names = ["pm_id", "emr_id", *NEEDED[1:]]
    assert dict(read_header(names, "pm", owner=True).places) == {"id": 0, "emr_id": 1} | {
        n: i for i, n in enumerate(NEEDED[1:], 2)
    }
    assert read_header(names, "emr", owner=False).places["id"] == 1
    with pytest.raises(ValueError, match="no column with the patient's id in the EMR; call it id"):
        read_header(["pm_id", *NEEDED[1:]], "emr", owner=False)


def test_one_column_twice_is_refused_and_both_are_named() -> None:
    with pytest.raises(ValueError, match=r"birth_date twice \(DOB and birth date\)"):
        read_header([*NEEDED[:3], "sex", "DOB", "birth date"], "pm", owner=True)


ROW = ["7050", "EVERYWOMAN", "EVE", "4/12/2018", "F", "1 ELM ST", "DETROIT", "MI", "48201", "No", "Apt 4", "Jr"]


@pytest.mark.parametrize("owner", [True, False])
def test_a_list_without_a_header_is_refused_without_a_word_of_its_first_patient(owner: bool) -> None:
    assert recognised(ROW) == 0
    with pytest.raises(ValueError, match="has no header") as refused:
        read_header(ROW, "pm", owner=owner)
    assert not any(cell in str(refused.value) for cell in ROW if len(cell) > 2)


def test_the_guide_lists_every_column_and_every_name_of_it() -> None:
    guide = (ROOT / "docs/howto/go-live.md").read_text("utf-8")
    for column, others in COLUMNS.items():
        (line,) = [line for line in guide.splitlines() if line.startswith(f"| `{column}` |")]
        assert all(name in line for name in others), column
