"""What the engine noted about a message is read back, whatever it noted."""

from __future__ import annotations

from ophl7.admin.provenance import provenance
from ophl7.domain.changes import Deliver, SetField
from ophl7.domain.identifiers import NOBODY
from ophl7.domain.verdicts import apply, strip
from ophl7.engine.custody import detail
from ophl7.engine.ruling import Ruling
from ophl7.kit import Match


def test_what_the_engine_writes_is_what_is_read() -> None:
    ruling = Ruling(Match(NOBODY, None, ambiguous=False, unknown=()))
    ruling.add(SetField("PID-11", "1 New St", "2 Old St"), [strip("#5", "the sender does not own it")])
    ruling.add(SetField("PID-13", "1", None), [apply("#4")])
    ruling.add(Deliver("emr", "record"), ())
    read = provenance(detail(ruling, ()))
    assert [(line["change"], line["path"], line["outcome"], line["row"], line["code"]) for line in read["verdicts"]] == [
        ("patient.field", "PID-11", "strip", "#5", "W01"),
        ("patient.field", "PID-13", "apply", "#4", ""),
        ("message.deliver", "", "apply", "", ""),
    ]
    assert read["warnings"] == [{"row": "#5", "code": "W01", "text": "the sender does not own it"}]


def test_a_message_that_was_never_judged_has_nothing_to_tell() -> None:
    assert provenance("") == {"verdicts": [], "warnings": []}
