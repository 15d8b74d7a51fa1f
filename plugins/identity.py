"""Whether a message is about whom it says it is (#10, #16)."""

from __future__ import annotations

from ophl7.kit import BIRTH_DATE, NAME, Change, Context, Receive, Rules, Verdict, hold

rules = Rules("identity")


@rules.judge("message.receive")
async def one_patient(change: Change, ctx: Context) -> Verdict | None:
    """Two ids of different patients in one message are settled by a person (#10)."""
    assert isinstance(change, Receive)
    if change.known and ctx.match.ambiguous:
        return hold("#10", f"identity:{ctx.match.key}", "its ids belong to different patients")
    return None


@rules.judge("message.receive")
async def right_patient(change: Change, ctx: Context) -> Verdict | None:
    """A known id under another birth date and another name is probably a wrong patient (#16).

    Of an ADT from the patients' owner, #7 judges the same: he may correct what he owns.
    """
    assert isinstance(change, Receive)
    patient = ctx.match.patient
    if not change.known or patient is None or (ctx.message.type == "ADT" and ctx.owns_patients):
        return None
    birth = ctx.message.text("PID-7")[:8]
    known_birth = patient.fields.get(BIRTH_DATE, "")[:8]
    if not birth or not known_birth or birth == known_birth:
        return None
    known = (*patient.fields.get(NAME, "").split("^"), "", "")
    said = (ctx.message.text("PID-5.1"), ctx.message.text("PID-5.2"))
    if not any(new and old and new.casefold() != old.casefold() for new, old in zip(said, known, strict=False)):
        return None
    return hold("#16", f"identity:{ctx.match.key}", "birth date and name both contradict the patient of that id")
