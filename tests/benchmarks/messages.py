"""Synthetic messages of a paediatric practice: who sends what, how large, and what is new in each.

Every person, address and number here is made up. A template is a whole MLLP frame in which :data:`MARK` stands wherever a
message must differ from every other one: the control id, the address and telephone of an A08, the appointment id of an S12,
each FT1-2 of a DFT. So a fresh message costs the load generator one ``bytes.replace``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MARK = b"@@@@@@@"
"""Seven bytes, replaced by a serial number of seven digits."""

LAST_SERIAL = 9_999_999
PATIENTS = 5_000
FIRST_PATIENT = 7050
ADT_SHARE_OF_PM = 0.75
"""60 % ADT, 20 % SIU, 20 % DFT: ADT and SIU are the PM's, DFT the EMR's."""

_FAMILIES = ("Abernathy", "Bellweather", "Castellano", "Dunmore", "Eastwick", "Fairbanks", "Greenhollow", "Hathersage")
_GIRLS = ("Ada", "Beatrix", "Clementine", "Dorothea", "Esme", "Florence", "Georgina", "Harriet")
_BOYS = ("Albert", "Barnaby", "Cornelius", "Desmond", "Edmund", "Frederick", "Gilbert", "Horatio")
_PROCEDURES = (
    ("99213", "OFFICE OUTPATIENT VISIT 15 MINUTES", "142.00"),
    ("90460", "IMMUNIZATION ADMINISTRATION FIRST COMPONENT", "38.50"),
    ("90461", "IMMUNIZATION ADMINISTRATION ADDL COMPONENT", "19.25"),
    ("90698", "DTAP-IPV-HIB VACCINE INTRAMUSCULAR", "121.00"),
    ("92551", "PURE TONE HEARING TEST AIR", "27.00"),
    ("99177", "OCULAR INSTRUMENT SCREENING BILATERAL", "31.75"),
)


@dataclass(frozen=True, slots=True)
class Patient:
    """One made-up child. `number` is the PM's id; name, birth date and sex never change (decisions #7, #16)."""

    number: int
    family: str
    given: str
    birth_date: date
    sex: str

    @property
    def pid(self) -> str:
        """PID-1 to PID-8 as both systems send them: the key id is the PM's."""
        born = self.birth_date.strftime("%Y%m%d")
        return f"PID|1||{self.number}^^^PM^MR||{self.family}^{self.given}^Q||{born}|{self.sex}"


@dataclass(frozen=True, slots=True)
class Templates:
    """The frames of one practice, one per patient and kind, with :data:`MARK` where each message must be new."""

    registrations: tuple[bytes, ...]  # ADT^A28, 10 segments
    updates: tuple[bytes, ...]  # ADT^A08, about 1.1 KB, 10 segments
    bookings: tuple[bytes, ...]  # SIU^S12, about 1.8 KB, 13 segments
    charges: tuple[bytes, ...]  # DFT^P03, about 2.9 KB, 6 FT1


def patients(count: int, seed: int) -> list[Patient]:
    """Makes `count` children, the same ones for the same `seed`."""
    dice = random.Random(seed)
    made = []
    for number in range(FIRST_PATIENT, FIRST_PATIENT + count):
        sex = dice.choice("FM")
        made.append(
            Patient(
                number=number,
                family=dice.choice(_FAMILIES),
                given=dice.choice(_GIRLS if sex == "F" else _BOYS),
                birth_date=date(2008, 1, 1) + timedelta(days=dice.randrange(6000)),
                sex=sex,
            )
        )
    return made


def templates(people: Sequence[Patient], now: datetime) -> Templates:
    """Builds all frames. `now`: the practice's local time, used for MSH-7, EVN-2 and, a day later, for appointments."""
    return Templates(
        registrations=tuple(_adt("A28", child, now) for child in people),
        updates=tuple(_adt("A08", child, now) for child in people),
        bookings=tuple(_siu(child, now) for child in people),
        charges=tuple(_dft(child, now) for child in people),
    )


def from_pm(prepared: Templates, dice: random.Random) -> bytes:
    """Draws what the PM sends next: three updates for each booking."""
    return dice.choice(prepared.updates if dice.random() < ADT_SHARE_OF_PM else prepared.bookings)


def from_emr(prepared: Templates, dice: random.Random) -> bytes:
    """Draws what the EMR sends next: always charges."""
    return dice.choice(prepared.charges)


def control_id(serial: int) -> bytes:
    """MSH-10 of the message with this serial number."""
    return b"B" + stamp(serial)


def stamp(serial: int) -> bytes:
    """The seven digits that take the place of :data:`MARK`. Raises ValueError past :data:`LAST_SERIAL`."""
    if not 0 <= serial <= LAST_SERIAL:
        message = f"serial number {serial} has more than seven digits"
        raise ValueError(message)
    return b"%07d" % serial


def _frame(segments: Sequence[str]) -> bytes:
    return b"\x0b" + "".join(f"{segment}\r" for segment in segments).encode("ascii") + b"\x1c\r"


def _msh(sender: str, receiver: str, event: str, version: str, now: datetime) -> str:
    return f"MSH|^~\\&|{sender}|MAPLE|{receiver}|MAPLE|{now:%Y%m%d%H%M%S}||{event}|B{MARK.decode()}|P|{version}"


def _address(child: Patient) -> str:
    return f"{child.number % 900 + 100} Maple Street^Apt {MARK.decode()}^Springfield^PA^19064^USA^H"


def _adt(event: str, child: Patient, now: datetime) -> bytes:
    # Without AL1, IAM and DG1: they are the EMR's (decisions 9), and a PM that owns patients does not send them.
    mark = MARK.decode()
    day = f"{now:%Y%m%d}"
    return _frame(
        (
            _msh("MAPLEPM", "OPEMR", f"ADT^{event}^ADT_A0{5 if event == 'A28' else 1}", "2.5.1", now),
            f"EVN|{event}|{now:%Y%m%d%H%M%S}|||FRONT2^Deskworth^Ida",
            (
                f"{child.pid}||2106-3^White^HL70005|{_address(child)}||(215)555-0100^PRN^PH^^1^215^{mark}|"
                f"^WPN^PH^^1^610^5550142|eng^English^ISO6392|S||AC{child.number}^^^PM^AN||||N^Not Hispanic^HL70189"
            ),
            "PD1|||MAPLE PEDIATRICS^^10042|1234567893^Hollins^Miriam^^^Dr^MD^^NPI|||||||||N",
            f"NK1|1|{child.family}^Rosalind|MTH^Mother^HL70063|{_address(child)}|^PRN^PH^^1^215^{mark}",
            f"NK1|2|{child.family}^Bertram|FTH^Father^HL70063||^PRN^CP^^1^215^5550177",
            f"PV1|1|O|MAIN^EXAM3^^MAPLE||||1234567893^Hollins^Miriam^^^Dr^MD||||||||||||V{child.number}",
            f"GT1|1||{child.family}^Rosalind||{_address(child)}|^PRN^PH^^1^215^{mark}||19810412|F||M",
            (
                f"IN1|1|BCPPO^Blue Copper PPO|60054|Blue Copper of Springfield|PO Box 1115^^Springfield^PA^19064||8005550123|"
                f"GRP7731||||{day[:4]}0101|||PPO|{child.family}^Rosalind|M|19810412||||1||||||||||||||W{child.number}01"
            ),
            f"IN1|2|SELF^Self Pay|99999|Self Pay||||||||{day[:4]}0101||||{child.family}^Rosalind|M",
        )
    )


def _siu(child: Patient, now: datetime) -> bytes:
    mark = MARK.decode()
    start = now.replace(hour=8, minute=0, second=0) + timedelta(days=1 + child.number % 40, minutes=15 * (child.number % 36))
    end = start + timedelta(minutes=15)
    when = f"{start:%Y%m%d%H%M%S}"
    return _frame(
        (
            _msh("MAPLEPM", "OPEMR", "SIU^S12^SIU_S12", "2.5.1", now),
            (
                f"SCH|P{mark}|A{mark}|||1|ROUTINE^Routine^HL70276|WELL^Well child visit^LOCAL|WCC^Well child check^LOCAL|15|"
                f"MIN^Minutes|1^^M15^{when}^{end:%Y%m%d%H%M%S}^^^^New appointment booked by telephone|||||"
                "FRONT2^Deskworth^Ida|^WPN^PH^^1^215^5550100|"
                "12 Maple Court^^Springfield^PA^19064||FRONT2^Deskworth^Ida|||||Booked^Booked^LOCAL"
            ),
            "NTE|1|P|Parent asks for the first slot; bring the school form and the vaccine card of the last practice.",
            (
                f"{child.pid}||2106-3^White^HL70005|{_address(child)}||^PRN^PH^^1^215^{mark}|^WPN^PH^^1^610^5550142|"
                f"eng^English^ISO6392|S||AC{child.number}^^^PM^AN||||N^Not Hispanic^HL70189"
            ),
            "PD1|||MAPLE PEDIATRICS^^10042|1234567893^Hollins^Miriam^^^Dr^MD^^NPI|||||||||N",
            f"PV1|1|O|MAIN^EXAM3^^MAPLE||||1234567893^Hollins^Miriam^^^Dr^MD||||||||||||A{mark}",
            f"GT1|1||{child.family}^Rosalind||{_address(child)}|^PRN^PH^^1^215^{mark}||19810412|F||M",
            (
                f"IN1|1|BCPPO^Blue Copper PPO|60054|Blue Copper of Springfield|PO Box 1115^^Springfield^PA^19064||8005550123|"
                f"GRP7731||||{now:%Y}0101|||PPO|{child.family}^Rosalind|M|19810412||||1||||||||||||||W{child.number}01"
            ),
            "RGS|1|A|MAPLE^Maple Pediatrics main office",
            f"AIS|1|A|WCC^Well child check^LOCAL|{when}|0|MIN^Minutes|15|MIN^Minutes|NO|Booked^Booked^LOCAL",
            f"AIG|1|A|HOLLINS^Hollins, Miriam MD|PHYS^Physician^LOCAL||1||{when}|0|MIN^Minutes|15|MIN^Minutes|NO|Booked^Booked",
            f"AIL|1|A|MAIN^EXAM3^^MAPLE|EXAM^Examination room^LOCAL||{when}|0|MIN^Minutes|15|MIN^Minutes|NO|Booked^Booked",
            f"AIP|1|A|1234567893^Hollins^Miriam^^^Dr^MD^^NPI|PHYS^Physician^LOCAL||{when}|0|MIN^Minutes|15|MIN^Minutes|NO|Booked",
        )
    )


def _dft(child: Patient, now: datetime) -> bytes:
    mark = MARK.decode()
    when = f"{now:%Y%m%d%H%M%S}"
    doctor = "1234567893^Hollins^Miriam^^^Dr^MD^^NPI"
    lines = [
        _msh("OPEMR", "MAPLEPM", "DFT^P03", "2.3.1", now),
        f"EVN|P03|{when}|||HOLLINS^Hollins^Miriam",
        (
            f"{child.pid}||2106-3^White^HL70005|12 Maple Court^^Springfield^PA^19064^USA^H||(215)555-0100|(610)555-0142|"
            f"eng|S||AC{child.number}^^^PM^AN"
        ),
        f"PV1|1|O|MAIN^EXAM3^^MAPLE||||{doctor}||||||||||||V{child.number}|||||||||||||||||||||||||{when}",
    ]
    for number, (code, text, amount) in enumerate(_PROCEDURES, start=1):
        lines.append(
            f"FT1|{number}|T{mark}-{number}|B{child.number}|{when}|{when}|CG|{code}^{text}^C4|||1|{amount}|{amount}||"
            "BCPPO^Blue Copper PPO||MAIN^EXAM3^^MAPLE|||Z00.129^Routine child health examination without abnormal findings^I10~"
            f"Z23^Encounter for immunization^I10|{doctor}||||{doctor}|{code}^{text}^C4|{'25' if number == 1 else ''}"
        )
    lines.append("DG1|1|I10|Z00.129^Routine child health examination without abnormal findings^I10|||F")
    lines.append("DG1|2|I10|Z23^Encounter for immunization^I10|||F")
    return _frame(lines)
