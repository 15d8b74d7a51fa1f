"""The calls of the books: the day report, what is current, roll-ups, what is missing, superbills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophl7.admin import current, export, reconciliation, superbills
from ophl7.admin.bodies import LONGEST_REASON
from ophl7.admin.calls import Call, Deed, Listing, Parameter, Single
from ophl7.admin.json_types import BOOLEAN, MAYBE, MAYBE_NUMBER, MAYBE_TIME, NUMBER, NUMBERS, TEXT, TEXTS, TIME, record, records
from ophl7.domain.reconciliation import STANDINGS

_AMOUNT = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": "exact, as a text"}
_MAYBE_AMOUNT = {"type": ["string", "null"]}

_SUM = record(count=NUMBER, amount=_AMOUNT, without_amount=NUMBER)
_SUMS: dict[str, Any] = {"received": _SUM, **dict.fromkeys(STANDINGS, _SUM)}

_MISSING: Mapping[str, Any] = {
    "id": NUMBER,
    "patient": MAYBE,
    "start": MAYBE_TIME,
    "status": TEXT,
    "filler_id": MAYBE,
    "placer_id": MAYBE,
    "resources": records(kind=TEXT, id=TEXT, text=TEXT),
}

_REPORT: Mapping[str, Any] = {
    "date": {"type": "string", "format": "date"},
    "begins": TIME,
    "ends": TIME,
    "hours": {"type": "number"},
    "over": BOOLEAN,
    "belongs": TEXT,
    "messages": record(
        received=NUMBER,
        **dict.fromkeys(reconciliation.MESSAGE_STATES, NUMBER),
        duplicates=NUMBER,
        sent_again=NUMBER,
        adds_up=BOOLEAN,
    ),
    **_SUMS,
    "adds_up": BOOLEAN,
    "does_not_add_up": records(message=NUMBER, line=MAYBE_NUMBER, charge=MAYBE_NUMBER, problem=TEXT),
    "sent_more_than_once": records(charge=NUMBER, message=NUMBER, other_charge=NUMBER, other_message=NUMBER, how=TEXT),
    "not_compared": NUMBERS,
    "from_pm": NUMBER,
    "providers": records(provider=MAYBE, **_SUMS),
    "holds": records(id=NUMBER, reason=TEXT, key=TEXT, message=NUMBER, since=TIME, peer=TEXT),
    "missing_charges": records(**_MISSING),
}

_CURRENT: Mapping[str, Any] = {
    "patient": MAYBE,
    "visit": MAYBE,
    "count": NUMBER,
    "amount": _AMOUNT,
    "without_amount": NUMBER,
    "oldest": MAYBE,
    "credited": NUMBER,
    "charges": records(
        id=NUMBER,
        transaction_id=MAYBE,
        date=MAYBE,
        procedure=MAYBE,
        modifiers=TEXTS,
        units=MAYBE,
        diagnoses=TEXTS,
        amount=_MAYBE_AMOUNT,
        net=_MAYBE_AMOUNT,
        kind=MAYBE,
        message=NUMBER,
        corrects={"type": ["object", "null"]},
    ),
}

_ROLL_UP: Mapping[str, Any] = {
    "id": NUMBER,
    "claim": TEXT,
    "note": MAYBE,
    "charges": NUMBERS,
    "by": TEXT,
    "at": TIME,
    "taken_back_at": MAYBE_TIME,
    "taken_back_by": MAYBE,
    "taken_back_reason": MAYBE,
}

_SUPERBILL: Mapping[str, Any] = {
    "user": TEXT,
    "name": MAYBE,
    "place": MAYBE,
    "peer": TEXT,
    "count": NUMBER,
    "first": TIME,
    "last": TIME,
    "events": TEXTS,
    "messages": NUMBERS,
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
            "charges": {"type": "array", "items": NUMBER, "minItems": 1},
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
