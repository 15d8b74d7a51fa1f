"""A value that was not taken is answered with the owner's, where the profile of its sender asks for that (decisions 3, 9).

Once for the same value: what its sender says again after that is a task for a person, so that two systems never keep correcting
each other; nor does a field of a patient go back and forth more often than a few times a day, whatever the values are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from ophl7.domain.changes import SetField
from ophl7.domain.coding import CodePlace, codes_in, recoded
from ophl7.domain.patient import SNAPSHOT_SEGMENTS, Patient, Side, other_side, same_field
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Outcome
from ophl7.engine.coding import headed
from ophl7.engine.effects import Effects
from ophl7.engine.ruling import Judged, Ruling
from ophl7.engine.storage import DeliveryRow, DriftRow, Keys, Restored
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import Unwritable
from ophl7.hl7v2.charset import encode
from ophl7.hl7v2.delimiters import STANDARD
from ophl7.hl7v2.escapes import escape
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import Edit, rewrite
from ophl7.hl7v2.rewrite import SetField as WriteField

# How often one field of a patient is restored within a day.
MOST_A_DAY = 3
_DAY = 24 * 3600.0

# Those who speak of persons rather than of visits are answered so.
_ABOUT_PERSONS = frozenset({"A28", "A31"})
_STRUCTURES = {"A08": "ADT_A01", "A31": "ADT_A05"}

# Where a segment stands in A08 and A31 (HL7 v2.5.1, 3.3.8); the three of insurance go together.
_BEFORE_VISIT = ("PD1", "NK1")
_BEHIND_VISIT = ("AL1", "DG1", "GT1")
_INSURANCE = ("IN1", "IN2", "IN3")


async def prepare_restoring(uow: UnitOfWork, ruling: Ruling, policy: Policy, peer: Side) -> None:
    """Before the effects: reads what was restored of this patient before, if anything is to be."""
    patient = ruling.match.patient
    if policy.peers[peer].profile.fields.drift != "restore" or patient is None or ruling.state != "accepted":
        return
    if any(_left_out(judged) for judged in ruling.judged):
        owner = other_side(peer)
        tables = policy.peers[owner].profile.maps
        codes = codes_in(_as_kept(patient), tables) if tables else {}
        maps = {(owner, table, code) for table, code in codes} - uow.state.maps.keys()
        await uow.fetch(Keys(restored={patient.id}, maps=maps))


def restore(uow: UnitOfWork, policy: Policy, peer: Side, message: Message, number: int, effects: Effects, at: float) -> None:
    """After the effects of a message of `peer`: marks its drift rows, and queues the owner's values for it.

    number: its journal id; at: seconds since the epoch.
    """
    patient = effects.patient
    if policy.peers[peer].profile.fields.drift != "restore" or patient is None:
        return
    places = [place for place, row in enumerate(uow.rows.drift) if row.message == number]
    if not places:
        return
    before = [*uow.state.restored.get(patient.id, ()), *_of_this_batch(uow, patient)]
    rows = [uow.rows.drift[place] for place in places]
    due = set() if patient.retired_on(peer) else {row.field for row in rows if _due(row, before, at)}
    if due and not _queue(uow, policy, peer, message, number, effects, at, due):
        due = set()
    for place, row in zip(places, rows, strict=True):
        uow.rows.drift[place] = replace(row, restored="sent" if row.field in due else "task")


def _left_out(judged: Judged) -> bool:
    verdict = judged.verdict
    return isinstance(judged.change, SetField) and verdict is not None and verdict.outcome is Outcome.STRIP


def _of_this_batch(uow: UnitOfWork, patient: Patient) -> list[Restored]:
    return [
        Restored(row.peer, row.field, row.offered, row.at)
        for row in uow.rows.drift
        if row.patient == patient.id and row.restored == "sent"
    ]


def _due(row: DriftRow, before: Sequence[Restored], at: float) -> bool:
    """Whether the owner has a value to send, the same one was not answered before, and the field not too often."""
    same = [one for one in before if (one.peer, one.field) == (row.peer, row.field)]
    if row.kept is None or any(same_field(one.offered, row.offered) for one in same):
        return False
    return sum(at - one.at < _DAY for one in same) < MOST_A_DAY


def _queue(
    uow: UnitOfWork,
    policy: Policy,
    peer: Side,
    message: Message,
    number: int,
    effects: Effects,
    at: float,
    due: Collection[str],
) -> bool:
    """Whether the correction is on its way; not when the sender's charset cannot hold it."""
    patient = effects.patient
    if patient is None:
        return False
    delivery = uow.ids.next("delivery")
    control_id = uow.ids.control_id("D", delivery)
    try:
        body = correction(message, patient, due, control_id, datetime.fromtimestamp(at, policy.zone), policy, peer)
        made = Message.parse_lenient(body, message.encoding)
        edits = [*headed(made, policy.peers[peer].profile.outbound), *_in_its_codes(uow, policy, peer, made)]
        body = rewrite(made, control_id, edits) if edits else body
    except Unwritable:
        return False
    row = DeliveryRow(delivery, peer, patient.lane, "record", number, control_id, "queued", body, at)
    uow.rows.deliveries.append(row)
    effects.deliveries.append(row)
    return True


def _as_kept(patient: Patient) -> Message:
    """The patient's fields as a message, to look for codes in them."""
    fields = {int(path.removeprefix("PID-")): value for path, value in patient.fields.items() if path.startswith("PID-")}
    pid = "|".join(["PID", *(fields.get(number, "") for number in range(1, max(fields, default=1) + 1))])
    lines = [line for name in SNAPSHOT_SEGMENTS for line in _lines(patient, name)]
    return Message.parse_lenient("\r".join([f"MSH|{STANDARD.encoding_characters}", pid, *lines]).encode(), "utf-8")


def _in_its_codes(uow: UnitOfWork, policy: Policy, peer: Side, made: Message) -> list[Edit]:
    """What the other system keeps stands in the registry in its codes: they leave as `peer` calls them (#36)."""
    owner = other_side(peer)
    tables = policy.peers[owner].profile.maps
    codes: list[tuple[CodePlace, str]] = []
    for (table, code), places in (codes_in(made, tables) if tables else {}).items():
        entered = uow.state.maps.get((owner, table, code))
        to = entered if entered is not None else tables[table].codes.get(code)
        if to is not None and to != code:
            codes += [(place, to) for place in places if _is_kept_by(owner, made, place, policy)]
    return [WriteField(segment, field, text) for (segment, field), text in recoded(made, codes).items()]


def _is_kept_by(owner: Side, made: Message, place: CodePlace, policy: Policy) -> bool:
    segment = made.at(place.segment)
    if segment is None or (segment.name != "PID" and segment.name not in SNAPSHOT_SEGMENTS):
        return False
    return policy.field_owners.of(f"PID-{place.field}" if segment.name == "PID" else segment.name) == owner


def correction(
    message: Message, patient: Patient, due: Collection[str], control_id: str, when: datetime, policy: Policy, peer: Side
) -> bytes:
    """An update for the sender of `message`, with the patient as the registry has him and his ids as that side wrote them.

    Every field of PID that the registry has is in it: one that is left empty might be taken for a deletion. Of the repeating
    segments only those that are due are in it, each set whole; one that is not there says nothing. It speaks the version and
    charset of `message`, and answers to its names. Raises Unwritable.
    """
    msh = message.segments[0]
    trigger = "A31" if message.trigger in _ABOUT_PERSONS else "A08"
    event = f"ADT^{trigger}" + (f"^{_STRUCTURES[trigger]}" if message.structure else "")
    stamp = when.strftime("%Y%m%d%H%M%S")
    names = [msh.canonical(field) for field in (5, 6, 3, 4)]
    header = ["MSH", STANDARD.encoding_characters, *names, stamp, "", event, control_id, msh.canonical(11), msh.canonical(12)]
    if msh.field(18):
        header += ["", "", "", "", "", msh.canonical(18)]
    lines = ["|".join(header), f"EVN|{trigger}|{stamp}", _pid(message, patient, policy, peer)]
    lines += [line for name in _BEFORE_VISIT if name in due for line in _lines(patient, name)]
    lines.append("PV1|1|N")
    lines += [line for name in _BEHIND_VISIT if name in due for line in _lines(patient, name)]
    if not set(_INSURANCE).isdisjoint(due):
        lines += _insurance(patient)
    if "IAM" in due:
        lines += _lines(patient, "IAM")
    return encode("\r".join([*lines, ""]), message.encoding)


def _pid(message: Message, patient: Patient, policy: Policy, peer: Side) -> str:
    naming = policy.namings[peer]
    said = message.first("PID")
    fields = {int(path.removeprefix("PID-")): value for path, value in patient.fields.items() if path.startswith("PID-")}
    if said is not None:
        for number in {2, 3, 4, *naming.keys, *naming.ours}:
            own = f"PID-{number}" in naming.own_places or number == 3 or number not in fields
            if own:
                fields[number] = said.canonical(number)
    known = patient.identifier_of(naming.authority, naming.types) if naming.expects != 3 else None
    if known is not None:
        fields[naming.expects] = escape(known.value, STANDARD)
    fields[1] = "1"
    return "|".join(["PID", *(fields.get(number, "") for number in range(1, max(fields) + 1))]).rstrip("|")


def _lines(patient: Patient, name: str) -> list[str]:
    return [line for line in patient.fields.get(name, "").split("\r") if line]


def _insurance(patient: Patient) -> list[str]:
    """IN1 with its IN2 and IN3, plan by plan."""
    sets = [_lines(patient, name) for name in _INSURANCE]
    plans = max(map(len, sets))
    return [lines[plan] for plan in range(plans) for lines in sets if plan < len(lines)]
