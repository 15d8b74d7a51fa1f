"""How a simulated system writes HL7: segments and whole messages, in the version that was asked for. Pure.

The plainest writing there is, without `ophl7.hl7v2`: what the broker reads is written by a second hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ophl7.simulate.people import Child
from ophl7.simulate.steps import Side, Step, other_side

VERSIONS: Final = ("2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8")

NAMES: Final[Mapping[Side, str]] = {"pm": "DEMOPM", "emr": "DEMOEMR"}
"""MSH-3: by it a simulator knows what another one wrote."""

# MSH-9.3 from 2.4 on (chapter 2, table 0354): events that share a structure.
_STRUCTURES: Final = {
    "ADT^A04": "ADT_A01",
    "ADT^A08": "ADT_A01",
    "ADT^A28": "ADT_A05",
    "ADT^A29": "ADT_A21",
    "ADT^A31": "ADT_A05",
    "ADT^A40": "ADT_A39",
    "DFT^P03": "DFT_P03",
    "BAR^P01": "BAR_P01",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """An appointment as its owner writes it. kind: code of the visit's type; status: SCH-25; minutes: how long."""

    filler: str
    start: datetime
    minutes: int
    kind: str
    status: str
    room: str
    doctor: str


@dataclass(frozen=True, slots=True)
class Fee:
    """One FT1. kind: FT1-6. ndc: the drug's code, written from 2.5 on."""

    transaction: str
    code: str
    text: str
    amount: str
    modifiers: tuple[str, ...] = ()
    units: str = "1"
    ndc: str = ""
    kind: str = "CG"
    diagnosis: str = "Z00.129"


DOCTORS: Final = {"D1": "DEMO-DOCTOR^ADA", "D2": "DEMO-DOCTOR^BEN"}
KINDS: Final = {
    "WELL": "Well visit",
    "SICK": "Sick visit",
    "NEWBORN": "Newborn visit",
    "FOLLOWUP": "Follow-up",
    "LUNCH": "Lunch",
    "CLOSED": "Practice closed",
    "REP": "Drug rep",
}


def stamp(at: datetime) -> str:
    """YYYYMMDDHHMMSS, in the practice's zone."""
    return at.strftime("%Y%m%d%H%M%S")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment from the numbers and values of its fields."""
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


class Hand:
    """One system's way of writing."""

    def __init__(self, side: Side, version: str) -> None:
        """version: one of VERSIONS."""
        self.side = side
        self.version = version
        self._from_25 = version >= "2.5"

    def write(self, step: Step) -> bytes:
        """The message, ready to be framed: UTF-8, each segment ended by CR."""
        me, you = NAMES[self.side], NAMES[other_side(self.side)]
        when = stamp(step.at)
        kind, _, trigger = step.event.partition("^")
        structure = _STRUCTURES.get(step.event, "SIU_S12" if kind == "SIU" else "")
        event = f"{step.event}^{structure}" if structure and self.version >= "2.4" else step.event
        head = f"MSH|^~\\&|{me}|DEMO|{you}|DEMO|{when}||{event}|{step.control_id}|P|{self.version}"
        if self._from_25:  # before, table 0211 has no word for UTF-8
            head += "||||||UNICODE UTF-8"
        evn = [] if kind == "SIU" else [f"EVN|{trigger}|{when}"]
        return "".join(f"{line}\r" for line in (head, *evn, *step.lines)).encode()

    def pid(self, child: Child, ids: str, more: Mapping[int, str] | None = None) -> str:
        """A PID. ids: PID-3 as written. more: fields by number."""
        fields = {1: "1", 3: ids, 5: child.xpn, 7: child.birth, 8: child.sex, 11: child.address, 13: child.phone}
        return segment("PID", fields | dict(more or {}))

    def visit(self, visit: Visit, people: Sequence[str] = ()) -> tuple[str, ...]:
        """SCH and what follows it. people: PID, or nothing where the time is not about a patient."""
        end = stamp(visit.start + timedelta(minutes=visit.minutes))
        kind, minutes = f"{visit.kind}^{KINDS[visit.kind]}", str(visit.minutes)
        sch = {
            2: visit.filler,
            6: "ROUTINE^Routine",
            7: kind,
            8: kind,
            9: minutes,
            10: "min",
            # SCH-11 is there for compatibility from 2.5 on; TQ1 has the time then (chapter 10).
            11: "" if self._from_25 else f"^^{minutes}^{stamp(visit.start)}^{end}",
            16: "DESK",
            20: "DESK",
            25: f"{''.join(visit.status.upper().split())}^{visit.status}",
        }
        timing = [segment("TQ1", {1: "1", 6: f"{minutes}^min", 7: stamp(visit.start), 8: end})] if self._from_25 else []
        stay = ["PV1|1|O" + "|" * 17 + visit.filler] if people else []
        doctor = f"{visit.doctor}^{DOCTORS[visit.doctor]}" if visit.doctor in DOCTORS else visit.doctor
        resources = [
            f"AIS|1||{kind}",
            f"AIL|1||{visit.room}|ROOM^Room",
            *([f"AIP|1||{doctor}|DOCTOR^Doctor"] if doctor else []),
        ]
        return (segment("SCH", sch), *timing, *people, *stay, "RGS|1", *resources)

    def charges(self, pid: str, filler: str, day: datetime, fees: Iterable[Fee]) -> tuple[str, ...]:
        """PID, PV1 and an FT1 for each fee. filler: the visit that is charged, in PV1-19."""
        return (pid, "PV1|1|O" + "|" * 17 + filler, *(self._ft1(number, fee, day) for number, fee in enumerate(fees, 1)))

    def _ft1(self, number: int, fee: Fee, day: datetime) -> str:
        date = day.strftime("%Y%m%d")
        fields = {
            1: str(number),
            2: fee.transaction,
            4: date,
            5: date,
            6: fee.kind,
            7: f"{fee.code}^{fee.text}^C4",
            10: fee.units,
            11: fee.amount,
            19: f"{fee.diagnosis}^^I10",
            20: f"D1^{DOCTORS['D1']}",
            25: f"{fee.code}^{fee.text}^C4",
            26: "~".join(fee.modifiers),
            29: f"{fee.ndc}^^NDC" if fee.ndc and self._from_25 else "",  # FT1-29 is there from 2.5 on
        }
        return segment("FT1", fields)
