"""The calls of the books: the day report, what is current, roll-ups, what is missing, superbills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophl7.admin import current, export, reconciliation, superbills
from ophl7.admin.bodies import LONGEST_REASON
from ophl7.admin.calls import Call, Deed, Listing, Parameter, Single
from ophl7.domain.reconciliation import STANDINGS

_NUMBER = {"type": "integer", "format": "int64"}
_MAYBE_NUMBER = {"type": ["integer", "null"], "format": "int64"}
_TEXT = {"type": "string"}
_MAYBE = {"type": ["string", "null"]}
_TIME = {"type": "string", "format": "date-time"}
_MAYBE_TIME = {"type": ["string", "null"], "format": "date-time"}
_BOOLEAN = {"type": "boolean"}
_NUMBERS = {"type": "array", "items": _NUMBER}
_TEXTS = {"type": "array", "items": _TEXT}
_AMOUNT = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": "exact, as a text"}
_MAYBE_AMOUNT = {"type": ["string", "null"]}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _array(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _object(**properties)}


_SUM = _object(count=_NUMBER, amount=_AMOUNT, without_amount=_NUMBER)
_SUMS: dict[str, Any] = {"received": _SUM, **dict.fromkeys(STANDINGS, _SUM)}

_MISSING: Mapping[str, Any] = {
    "id": _NUMBER,
    "patient": _MAYBE,
    "start": _MAYBE_TIME,
    "status": _TEXT,
    "filler_id": _MAYBE,
    "placer_id": _MAYBE,
    "resources": _array(kind=_TEXT, id=_TEXT, text=_TEXT),
}

_REPORT: Mapping[str, Any] = {
    "date": {"type": "string", "format": "date"},
    "begins": _TIME,
    "ends": _TIME,
    "hours": {"type": "number"},
    "over": _BOOLEAN,
    "belongs": _TEXT,
    "messages": _object(
        received=_NUMBER,
        **dict.fromkeys(reconciliation.MESSAGE_STATES, _NUMBER),
        duplicates=_NUMBER,
        sent_again=_NUMBER,
        adds_up=_BOOLEAN,
    ),
    **_SUMS,
    "adds_up": _BOOLEAN,
    "does_not_add_up": _array(message=_NUMBER, line=_MAYBE_NUMBER, charge=_MAYBE_NUMBER, problem=_TEXT),
    "sent_more_than_once": _array(charge=_NUMBER, message=_NUMBER, other_charge=_NUMBER, other_message=_NUMBER, how=_TEXT),
    "not_compared": _NUMBERS,
    "from_pm": _NUMBER,
    "providers": _array(provider=_MAYBE, **_SUMS),
    "holds": _array(id=_NUMBER, reason=_TEXT, key=_TEXT, message=_NUMBER, since=_TIME, peer=_TEXT),
    "missing_charges": _array(**_MISSING),
}

_CURRENT: Mapping[str, Any] = {
    "patient": _MAYBE,
    "visit": _MAYBE,
    "count": _NUMBER,
    "amount": _AMOUNT,
    "without_amount": _NUMBER,
    "oldest": _MAYBE,
    "credited": _NUMBER,
    "charges": _array(
        id=_NUMBER,
        transaction_id=_MAYBE,
        date=_MAYBE,
        procedure=_MAYBE,
        modifiers=_TEXTS,
        units=_MAYBE,
        diagnoses=_TEXTS,
        amount=_MAYBE_AMOUNT,
        net=_MAYBE_AMOUNT,
        kind=_MAYBE,
        message=_NUMBER,
        corrects={"type": ["object", "null"]},
    ),
}

_ROLL_UP: Mapping[str, Any] = {
    "id": _NUMBER,
    "claim": _TEXT,
    "note": _MAYBE,
    "charges": _NUMBERS,
    "by": _TEXT,
    "at": _TIME,
    "taken_back_at": _MAYBE_TIME,
    "taken_back_by": _MAYBE,
    "taken_back_reason": _MAYBE,
}

_SUPERBILL: Mapping[str, Any] = {
    "user": _TEXT,
    "name": _MAYBE,
    "place": _MAYBE,
    "peer": _TEXT,
    "count": _NUMBER,
    "first": _TIME,
    "last": _TIME,
    "events": _TEXTS,
    "messages": _NUMBERS,
}

_LINE = {"type": ["string", "null"], "maxLength": LONGEST_REASON}
_DAY = Parameter("date", "the day on which the messages came, in the practice's zone; today if not said")

BOOK_CALLS: tuple[Call, ...] = (
    Single(
        "/reconciliation",
        reconciliation.reconciliation,
        "The day report: charges in counts and amounts, what does not add up, open holds, visits without a charge",
        _REPORT,
        parameters=(_DAY,),
    ),
    Listing(
        "/charges/current",
        current.current_charges,
        "What the PM has accepted and nobody has rolled up yet, by patient and visit; whole patients, in no order",
        _CURRENT,
        (Parameter("patient", "an identifier: a bare id or AUTHORITY:id"),),
    ),
    Listing(
        "/charges/missing",
        reconciliation.missing,
        "Appointments of a day that came to an end without a charge",
        _MISSING,
        (Parameter("date", "the day of the start, in the practice's zone; today if not said"),),
    ),
    Single(
        "/charges/export",
        export.export,
        "Charges that the PM does not have, as a file; audited",
        content="text/csv",
        parameters=(
            Parameter("date", "the day on which they came, in the practice's zone"),
            Parameter("since", "the first of several days"),
            Parameter("until", "the last of them"),
            Parameter("state", "pending if not said; open: all of them", tuple(export.STANDINGS)),
            Parameter("format", "csv if neither this nor Accept says otherwise", export.FORMATS),
        ),
    ),
    Listing(
        "/charges/roll-ups",
        current.roll_ups,
        "What billing has noted as rolled up, also what was taken back",
        _ROLL_UP,
        (Parameter("patient", "an identifier: a bare id or AUTHORITY:id"), Parameter("claim", "the PM's reference")),
    ),
    Deed(
        "/charges/roll-ups",
        current.note_roll_up,
        "Notes that charges went into a claim of the PM; a note only: nothing is sent; audited",
        {"claim": {"type": "string", "minLength": 1, "maxLength": 100}},
        _ROLL_UP,
        optional={
            "charges": {"type": "array", "items": _NUMBER, "minItems": 1},
            "patient": _LINE,
            "visit": _LINE,
            "note": _LINE,
            "reason": _LINE,
        },
    ),
    Deed(
        "/charges/roll-ups/{id}/take-back",
        current.take_back,
        "Takes such a note back: its charges are current again; audited with the reason",
        {"reason": {"type": "string", "minLength": 1, "maxLength": LONGEST_REASON}},
        _ROLL_UP,
    ),
    Listing(
        "/superbills",
        superbills.superbills,
        "Who still sends claims and superbills, which are refused (#56)",
        _SUPERBILL,
        paged=False,
    ),
)
