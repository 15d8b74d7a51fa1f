"""The columns that a table may have, and what of them a header names. Pure; docs/howto/go-live.md lists them for people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from ophl7.domain.patient import Side

# column -> what else it may be called. Case, blanks and punctuation do not count, nor does "patient" in front. Nothing is in
# here that may stand in a cell as well (MI, No, St): a list without a header must not pass for one.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("mrn", "id number", "chart number", "chart no", "record number", "medical record number"),
    "authority": ("assigning authority", "id authority"),
    "other_id": ("other ids", "chart_id", "chart ids", "alias", "aliases"),
    "pm_id": ("pm number", "pm patient id"),
    "emr_id": ("emr number", "emr chart id", "ehr_id", "emr patient id"),
    "last_name": ("last", "family", "family name", "surname"),
    "first_name": ("first", "given", "given name", "forename"),
    "middle_name": ("middle", "middle initial", "second name"),
    "suffix": ("name suffix",),
    "prefix": ("title", "name prefix"),
    "mother_maiden_name": ("mothers maiden name", "maiden name"),
    "birth_date": ("dob", "date of birth", "birthday", "birth"),
    "sex": ("gender", "administrative sex"),
    "race": (),
    "ethnicity": ("ethnic group",),
    "language": ("primary language", "preferred language"),
    "street": ("address", "address1", "address line 1", "street1", "street address", "line1", "addr", "addr1"),
    "street2": ("address2", "address line 2", "line2", "addr2", "apt", "apartment"),
    "city": ("town",),
    "state": ("province",),
    "zip": ("zip code", "postal code", "postcode"),
    "country": (),
    "phone": ("phone number", "home phone", "phone home", "phone1", "telephone", "tel"),
    "mobile": ("cell", "cell phone", "mobile phone", "phone mobile", "phone cell"),
    "work_phone": ("business phone", "phone work"),
    "email": ("email address", "mail"),
    "account": ("account number", "account no", "family account", "guarantor account"),
    "ssn": ("social security number",),
    "death_date": ("date of death", "deceased date"),
    "deceased": ("dead", "death indicator"),
}

# Without these nobody can be created from a row (#3), so a list of the patients' owner that lacks one is a mistake.
IDENTITY: Final = ("last_name", "first_name", "birth_date", "sex")


# Where people write on several lines; what is left out may do so as well.
BREAKABLE: Final = frozenset({"street", "street2"})


@dataclass(frozen=True, slots=True)
class Header:
    """What a header names.

    places: column -> its place in a row, from 0. width: cells of a row. unknown: names not known, each with the one that was
    probably meant.
    """

    places: Mapping[str, int]
    width: int
    unknown: tuple[str, ...]


def plain(name: str) -> str:
    """A column's name without what does not count."""
    return re.sub(r"[\W_]+", "", name.casefold()).removeprefix("patient") or "patient"


_KNOWN: Final[Mapping[str, str]] = {plain(name): column for column, others in COLUMNS.items() for name in (column, *others)}


def recognised(cells: Sequence[str]) -> int:
    """How many of these cells are names of columns: which delimiter is right, and whether this is a header at all."""
    return sum(plain(cell) in _KNOWN for cell in cells)


def _meant(cell: str) -> str:
    """What a name that is not known was probably meant to be."""
    close = get_close_matches(plain(cell), _KNOWN, n=1, cutoff=0.8)
    return f" (did you mean {_KNOWN[close[0]]}?)" if close else ""


def read_header(cells: Sequence[str], peer: Side, *, owner: bool) -> Header:
    """The columns that a header names. owner: whether this peer owns the patients.

    Raises ValueError, saying what to change: no id, an identity column of the owner's list missing, one column twice. Cells are
    quoted only where the rest shows that this is a header: else they are somebody's data.
    """
    places: dict[str, int] = {}
    unknown: list[str] = []
    if recognised(cells) < 2:
        raise ValueError(
            "has no header: its first line must name the columns, for example id,last_name,first_name,birth_date,sex"
        )
    for place, cell in enumerate(cells):
        column = _KNOWN.get(plain(cell))
        if column is None:
            if cell:
                unknown.append(cell + _meant(cell))
        elif column in places:
            raise ValueError(
                f"names the column {column} twice ({cells[places[column]]} and {cell}); rename or remove one of them"
            )
        else:
            places[column] = place
    if "id" not in places and f"{peer}_id" in places:
        places["id"] = places.pop(f"{peer}_id")
    if "id" not in places:
        raise ValueError(f"has no column with the patient's id in the {peer.upper()}; call it id")
    missing = [column for column in IDENTITY if column not in places]
    if owner and missing:
        raise ValueError(f"has no column {', '.join(missing)}: without them no patient can be created")
    return Header(places, len(cells), tuple(unknown))
