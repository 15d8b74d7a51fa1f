"""What can be said of a change, and how strict each is (decisions 1)."""

from __future__ import annotations

from ophl7.domain.policy import PeerPolicy
from ophl7.domain.verdicts import Hold, Outcome, Reject, apply, hold, reject, strip
from tests.unit.engine.desk import policy


def test_reject_is_stricter_than_hold_than_strip_than_apply() -> None:
    assert Outcome.REJECT > Outcome.HOLD > Outcome.STRIP > Outcome.APPLY


def test_verdicts_say_row_code_and_condition() -> None:
    assert apply("#1").code == ""
    assert apply("#85", warning="W04", text="again").code == "W04"
    assert strip("#5", "kept").code == "W01"
    assert strip("#48", "known", code="").code == ""
    held = hold("#43", "patient:PM:7050", "not known yet", blocks="charges:5")
    assert held.condition is not None
    assert (held.condition.key, held.condition.kind, held.condition.blocks) == ("patient:PM:7050", "patient", "charges:5")
    assert held.text == held.condition.reason
    assert reject("#29", "", "no", header=True).header


def test_what_an_author_raises_carries_its_verdict() -> None:
    refusal = Reject.because("#41", "C01", "no FT1", error=100)
    assert refusal.verdict == reject("#41", "C01", "no FT1", error=100)
    assert str(refusal) == "no FT1"
    assert Hold("#24", "appointment:PM:A1", "why").verdict == hold("#24", "appointment:PM:A1", "why")


def test_a_bare_id_has_the_authority_of_its_sender() -> None:
    ours = policy(peers={"pm": PeerPolicy("OFFICE"), "emr": PeerPolicy("EMR")})
    assert (ours.authority_of("pm"), ours.authority_of("emr")) == ("OFFICE", "EMR")
