"""Whether a message is about whom it says it is (#10, #16)."""

from __future__ import annotations

from ophl7.kit import BIRTH_DATE, MERGE_TRIGGERS, NAME, SEX, Change, Context, Receive, Rules, Verdict, deletes_key, hold

rules = Rules("identity")

_ONE_OF_THEM = (
    "a release cannot say which of them is meant: merge the two in the system that owns the patients and release it then, "
    "or have it sent again with the ids of one and discard it"
)


@rules.judge("message.receive")
async def one_patient(change: Change, ctx: Context) -> Verdict | None:
    """Two ids of different patients in one message are settled by a person (#10)."""
    assert isinstance(change, Receive)
    if change.known and ctx.match.ambiguous and ctx.message.trigger not in MERGE_TRIGGERS:  # a merge may name both
        known = next(one for one in ctx.match.named.keys if one not in ctx.match.unknown)
        return hold("#10", f"identity:{known}", "its ids belong to different patients", instead=_ONE_OF_THEM)
    return None


@rules.judge("message.receive")
async def deleted_key(change: Change, ctx: Context) -> Verdict | None:
    """A delete indicator beside another key id is never carried out unseen (#11); a refusal goes before it (P9)."""
    assert isinstance(change, Receive)
    message = ctx.message
    if not change.known or message.type != "ADT" or message.trigger in MERGE_TRIGGERS or not ctx.match.named.keys:
        return None
    if not deletes_key(message.first("PID"), ctx.policy.namings[ctx.peer]):
        return None
    blocks = f"record:{ctx.match.patient.subject}" if ctx.match.patient is not None else ""
    return hold("#11", f"demographics:{ctx.match.key}", "it deletes a key id", blocks=blocks)


@rules.judge("message.receive")
async def right_patient(change: Change, ctx: Context) -> Verdict | None:
    """A known id under another birth date and another name is probably a wrong patient (#16).

    Where the patients' owner says it in an ADT and the given name or the sex differs, it is #7's: one reason, not two.
    """
    assert isinstance(change, Receive)
    patient = ctx.match.patient
    if not change.known or patient is None:
        return None
    birth = ctx.message.text("PID-7")[:8]
    known_birth = patient.fields.get(BIRTH_DATE, "")[:8]
    if not birth or not known_birth or birth == known_birth:
        return None
    known = (*patient.fields.get(NAME, "").split("^"), "", "")
    family, given = (_differs(ctx.message.text(f"PID-5.{number}"), old) for number, old in enumerate(known[:2], 1))
    if not (family or given):
        return None
    if (
        ctx.message.type == "ADT"
        and ctx.owns_patients
        and (given or _differs(ctx.message.text("PID-8"), patient.fields.get(SEX, "")))
    ):
        return None
    return hold("#16", f"identity:{ctx.match.key}", "birth date and name both contradict the patient of that id")


def _differs(said: str, known: str) -> bool:
    """What is absent on either side contradicts nothing."""
    return bool(said and known) and said.casefold() != known.casefold()
