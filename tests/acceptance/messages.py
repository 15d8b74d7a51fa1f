"""The messages of a made-up practice: small builders, bytes out. All people in here are invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Side = Literal["pm", "emr"]

SENT = "20260105080000"

# MSH-3 to MSH-6 of each side, as it writes them itself.
_ROUTES = {"pm": "PM|DESK|EMR|CLINIC", "emr": "EMR|CLINIC|PM|DESK"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a chart. ids: PID-3 as written; where it is empty, `id` under the PM's authority."""

    id: str = "7050"
    family: str = "ADAMSKI"
    given: str = "RUTH"
    birth: str = "20180412"
    sex: str = "F"
    street: str = "1 ELM ST"
    race: str = ""
    ids: str | None = None

    @property
    def pid_3(self) -> str:
        return f"{self.id}^^^PM^MR" if self.ids is None else self.ids


RUTH = Person()
OSCAR = Person("7051", "BERGER", "OSCAR", "20150930", "M", "22 OAK AVE")

# The same people as the EMR knows them: under its own chart ids.
RUTH_IN_EMR = replace(RUTH, ids="E-50^^^EMR^MR")
OSCAR_IN_EMR = replace(OSCAR, ids="E-51^^^EMR^MR")


def message(
    event: str, control_id: str, *segments: str, sender: Side, version: str = "2.3.1", sent: str = SENT, mode: str = "P"
) -> bytes:
    """Any message. event: MSH-9. mode: MSH-11."""
    msh = f"MSH|^~\\&|{_ROUTES[sender]}|{sent}||{event}|{control_id}|{mode}|{version}"
    return "".join(f"{line}\r" for line in (msh, *segments)).encode()


def pid(who: Person) -> str:
    """A PID with what the practice knows of somebody."""
    return (
        f"PID|1||{who.pid_3}||{who.family}^{who.given}||{who.birth}|{who.sex}||{who.race}|{who.street}^^SPRINGFIELD^NY^12345"
        "||^PRN^PH^^1^555^0100"
    )


def adt(
    control_id: str,
    trigger: str,
    who: Person = RUTH,
    *more: str,
    sender: Side = "pm",
    version: str = "2.3.1",
    sent: str = SENT,
) -> bytes:
    """A registration or an update."""
    return message(
        f"ADT^{trigger}", control_id, f"EVN|{trigger}|{sent}", pid(who), *more, sender=sender, version=version, sent=sent
    )


def merged(
    control_id: str,
    *pairs: tuple[Person, Person],
    trigger: str = "A40",
    sender: Side = "pm",
    version: str = "2.3.1",
    sent: str = SENT,
) -> bytes:
    """The first of each pair goes away, the second stays."""
    lines = [f"EVN|{trigger}|{sent}"]
    for retired, survivor in pairs:
        lines += [pid(survivor), f"MRG|{retired.pid_3}"]
    return message(f"ADT^{trigger}", control_id, *lines, sender=sender, version=version, sent=sent)


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment. status: SCH-25, code or text."""

    filler: str = "S-100"
    start: str = "20260105093000"
    minutes: str = "15"
    status: str = "Booked"
    room: str = "ROOM1"
    doctor: str = "D-7"


VISIT = Visit()


def siu(
    control_id: str,
    trigger: str,
    visit: Visit = VISIT,
    who: Person | None = RUTH,
    *more: str,
    sender: Side = "pm",
    version: str = "2.3.1",
    sent: str = SENT,
) -> bytes:
    """A booking or what becomes of it; without a patient, a block."""
    end = f"{visit.start[:8]}100000"
    sch = (
        f"SCH||{visit.filler}|||||WELL^Well visit||{visit.minutes}|min|^^{visit.minutes}^{visit.start}^{end}"
        f"|||||DESK||||DESK|||||{visit.status}"
    )
    people = () if who is None else (pid(who), "PV1|1|O")
    resources = ("RGS|1", f"AIL|1||{visit.room}", f"AIP|1||{visit.doctor}^WINTER^A")
    return message(f"SIU^{trigger}", control_id, sch, *people, *resources, *more, sender=sender, version=version, sent=sent)


@dataclass(frozen=True, slots=True)
class Fee:
    """One FT1. kind: FT1-6."""

    id: str = "T-1"
    code: str = "99213"
    amount: str = "125.00"
    kind: str = "CG"
    date: str = "20260105"
    units: str = "1"

    def ft1(self, number: int) -> str:
        return (
            f"FT1|{number}|{self.id}|B1|{self.date}|20260105|{self.kind}|{self.code}^OFFICE VISIT^C4||"
            f"|{self.units}|{self.amount}||||||||J06.9^URI^I10|D-7^WINTER^A"
        )


FEE = Fee()


def dft(
    control_id: str,
    fees: Sequence[Fee] = (FEE,),
    who: Person = RUTH,
    *more: str,
    sender: Side = "emr",
    trigger: str = "P03",
    version: str = "2.3.1",
    sent: str = SENT,
) -> bytes:
    """The charges of a visit."""
    lines = [fee.ft1(number) for number, fee in enumerate(fees, 1)]
    return message(
        f"DFT^{trigger}", control_id, f"EVN|{trigger}|{sent}", pid(who), "PV1|1|O", *lines, *more,
        sender=sender, version=version, sent=sent,
    )  # fmt: skip


def relayed(sent: bytes, control_id: str) -> bytes:
    """What must leave when `sent` goes on untouched: every byte but MSH-10."""
    header, _, rest = sent.partition(b"\r")
    fields = header.split(b"|")
    fields[9] = control_id.encode()
    return b"|".join(fields) + b"\r" + rest


def segments(payload: bytes, name: bytes) -> list[bytes]:
    """The segments of that name."""
    return [line for line in payload.split(b"\r") if line.startswith(name + b"|")]


def control_id_of(payload: bytes) -> str:
    """MSH-10."""
    return payload.split(b"\r", 1)[0].split(b"|")[9].decode()
