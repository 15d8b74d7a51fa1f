"""Messages to begin with: those of tests/corpus and tests/malformed, and a practice's own of every kind."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
FRAMED = b"\x0b%b\x1c\r"
_HEADER = "MSH|^~\\&|APP|FAC|HUB|HUB|20240301100000||{event}|{number}|P|{version}"
_PERSON = "PID|1||7050^^^PM^MR||Rivers^Ada||20150412|F|||1 Oak^^Salem^MA^01970"
_OTHER = "PID|1||7051^^^PM^MR||Rivers^Ida||20150412|F"
_BOOKING = "SCH||F1|||||||30|min|^^30^20240305090000||||||||||||||Booked"


def _message(event: str, number: str, *segments: str, version: str = "2.5") -> bytes:
    return "".join(f"{line}\r" for line in (_HEADER.format(event=event, number=number, version=version), *segments)).encode()


PRACTICE: dict[str, list[bytes]] = {
    "pm": [
        _message("ADT^A04", "P1", "EVN||20240301100000", _PERSON, "PV1|1|O", "IN1|1|PLAN|77|ACME"),
        _message("ADT^A28", "P2", "EVN||20240301100000", _OTHER, version="2.3"),
        _message("ADT^A08", "P3", "EVN||20240301100100", _PERSON.replace("Oak", "Elm"), "AL1|1|DA|PEN^Penicillin"),
        _message("SIU^S12", "P4", _BOOKING, _PERSON, "RGS|1", "AIG|1||ROOM1", "AIP|1||D1^Doe^Jo"),
        _message("SIU^S14", "P5", _BOOKING.replace("Booked", "Arrived"), _PERSON, "RGS|1", "AIP|1||D1^Doe^Jo"),
        _message("SIU^S15", "P6", _BOOKING, _PERSON, "RGS|1"),
        _message("SIU^S23", "P7", _BOOKING.replace("F1", "B1"), "RGS|1", "AIP|1||D1^Doe^Jo"),
        _message("ADT^A40", "P8", "EVN||20240301100200", _PERSON, "MRG|7051^^^PM^MR"),
        _message("ADT^A47", "P9", "EVN||20240301100200", _PERSON, "MRG|7050^^^PM^MR", version="2.4"),
        _message("ADT^A29", "PA", "EVN||20240301100300", _OTHER),
        _message("ADT^A23", "PB", "EVN||20240301100300", _PERSON, "PV1|1|O|||||||||||||||||F1"),
        b"BHS|^~\\&|A|B\r" + _message("ADT^A31", "PC", _PERSON) + _message("ADT^A31", "PD", _OTHER) + b"BTS|2\r",
    ],
    "emr": [
        _message("DFT^P03", "E1", _PERSON, "FT1|1|T1||20240301||CG|99213|||1|142.00|||||||^D1|||||||Z00.129", "PR1|1||99213"),
        _message("DFT^P03", "E2", _PERSON, "FT1|1|T1||20240301||CD|99213|||1|142.00"),
        _message(
            "DFT^P03",
            "E3",
            _PERSON,
            "FT1|1|||20240301||CG|90460|||1|30",
            "FT1|2|T3||20240301||CG|99392|||2|80.5",
            version="2.3",
        ),
        _message("DFT^P11", "E4", _OTHER, "FT1|1|T4||20240301||PY|PAY|||1|-20"),
        _message("ADT^A08", "E5", "EVN||20240301100000", 'PID|1||7050^^^PM^MR~C9^^^EMR^PI||Rivers^Ada||20150412|F|||""'),
        _message("SIU^S14", "E6", _BOOKING.replace("Booked", "Roomed"), _PERSON, "RGS|1", "AIP|1||D1^Doe^Jo"),
        _message("ADT^A18", "E7", "EVN||20240301100200", _PERSON, "MRG|C9^^^EMR^PI"),
        _message("BAR^P01", "E8", _PERSON),
        _message("SRM^S01", "E9", "ARQ|1"),
        _message("ACK^A08", "EA", "MSA|AA|X"),
        _message("ORU^R01", "EB", _PERSON, "OBR|1", "OBX|1|NM|8302-2||98|cm", version="2.8"),
    ],
}


@lru_cache(maxsize=1)
def published() -> tuple[bytes, ...]:
    """What others have published and what is broken, small ones only: a fuzzer makes big ones by itself."""
    found = [path.read_bytes() for folder in ("malformed", "corpus") for path in sorted((TESTS / folder).glob("*.hl7"))]
    return tuple([raw for raw in found if len(raw) <= 1500])


def messages(prefix: bytes, every: int = 1) -> list[bytes]:
    """Every n-th published message and all of the practice's, each behind `prefix`."""
    return [prefix + raw for raw in (*published()[::every], *PRACTICE["pm"], *PRACTICE["emr"])]


def framed_messages(prefix: bytes, every: int = 1) -> list[bytes]:
    """The same as MLLP blocks."""
    return [prefix + FRAMED % raw[len(prefix) :] for raw in messages(prefix, every)]
