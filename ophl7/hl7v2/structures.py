"""Which structure an event has (HL7 table 0354), and hl7apy's tables of the versions, in a form that can be relied on.

hl7apy's tables hold slips: parts without a reference, a segment with half of one, code tables with `...` in them. What is not
well formed is left out here, so that nobody is blamed for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ophl7.hl7v2.grammar import Part

VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")

# Versions that hl7apy lacks, by the one that is nearest to them. Blank counts as 2.3 (decisions #82).
NEAREST = {"": "2.3", "2.7.1": "2.7", "2.9": "2.8.2", "2.9.1": "2.8.2"}


class Reference(NamedTuple):
    """A field, component or subcomponent as the version has it. most: -1 for any number. datatype: "" where none is known.

    parts: its components, () for a plain value. table: of its codes, "" for none.
    """

    number: int
    least: int
    most: int
    datatype: str
    table: str
    parts: tuple[Reference, ...]


# Events that share the structure of another one: from 2.4 on, then what it was before.
_SHARED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("ADT^A04", "ADT^A08", "ADT^A13"), ("ADT_A01",)),
    **dict.fromkeys(("ADT^A05", "ADT^A14", "ADT^A28", "ADT^A31"), ("ADT_A05", "ADT_A01")),
    "ADT^A07": ("ADT_A06",),
    **dict.fromkeys(("ADT^A10", "ADT^A11", "ADT^A12"), ("ADT_A09",)),
    "ADT^A15": ("ADT_A15", "ADT_A09"),
    **{f"ADT^A{number}": ("ADT_A21", "ADT_A02") for number in (21, 22, 23, 25, 26, 27, 29, 32, 33)},
    **{f"ADT^A{number}": ("ADT_A30",) for number in (34, 35, 36, 46, 48, 49)},
    "ADT^A47": ("ADT_A30", "ADT_A44"),
    "ADT^A37": ("ADT_A37", "ADT_A24"),
    **{f"ADT^A{number}": ("ADT_A39",) for number in (40, 41, 42)},
    "ADT^A44": ("ADT_A43",),
    "ADT^A51": ("ADT_A50",),
    "ADT^A53": ("ADT_A52",),
    "ADT^A55": ("ADT_A54",),
    "ADT^A62": ("ADT_A61",),
    **{f"SIU^S{number}": ("SIU_S12",) for number in (*range(13, 25), 26, 27)},
    **{f"SRM^S{number:02}": ("SRM_S01",) for number in range(2, 12)},
    **{f"SRR^S{number:02}": ("SRR_S01",) for number in range(2, 12)},
    **{f"MDM^T{number:02}": ("MDM_T01",) for number in (3, 5, 7, 9, 11)},
    **{f"MDM^T{number:02}": ("MDM_T02",) for number in (4, 6, 8, 10)},
    **{f"MFK^M{number:02}": ("MFK_M01",) for number in range(2, 14)},
    **dict.fromkeys(("REF^I13", "REF^I14", "REF^I15"), ("REF_I12",)),
    **dict.fromkeys(("RRI^I13", "RRI^I14", "RRI^I15"), ("RRI_I12",)),
    **dict.fromkeys(("PPR^PC2", "PPR^PC3"), ("PPR_PC1",)),
    **dict.fromkeys(("PGL^PC7", "PGL^PC8"), ("PGL_PC6",)),
    **dict.fromkeys(("PPP^PCC", "PPP^PCD"), ("PPP_PCB",)),
    "PMU^B02": ("PMU_B01",),
    **dict.fromkeys(("PMU^B05", "PMU^B06"), ("PMU_B04",)),
    **{f"QBP^Q{number}": ("QBP_Q21",) for number in (22, 23, 24, 25)},
    **dict.fromkeys(("ORU^R31", "ORU^R32"), ("ORU_R30",)),
    "RDE^O25": ("RDE_O11",),
}


@lru_cache(maxsize=256)
def structure_of(version: str, kind: str, trigger: str, named: str) -> str:
    """The structure of a message in one of VERSIONS; "" when it has none. named: MSH-9.3, which wins where it is known."""
    candidates = (named, f"{kind}_{trigger}", *_SHARED.get(f"{kind}^{trigger}", ()), kind)
    return next((name for name in candidates if name and _load(name, "Message", version) is not None), "")


@lru_cache(maxsize=64)
def grammar_of(version: str, structure: str) -> tuple[Part, ...] | None:
    """The structure as `ophl7.hl7v2.grammar` reads it; None where it has places for any segment at all, or a slip in it."""
    try:
        return _parts(_load(structure, "Message", version))
    except _NotClosed:
        return None


@lru_cache(maxsize=1024)
def segment_of(version: str, name: str) -> tuple[Reference, ...] | None:
    """The fields of a segment; None when the version has no such segment."""
    fields = _references(_load(name, "Segment", version))
    return fields or None


@lru_cache(maxsize=1024)
def table_of(version: str, table: str) -> frozenset[str]:
    """The codes of a table; empty where it is open or not known, so that nothing can be said about a code."""
    loaded = _load(table, "Table", version)
    listed = loaded[1] if isinstance(loaded, tuple | list) and len(loaded) > 1 else ()
    codes = {code.strip() for entry in listed for code in entry.split(",")}
    if any(not code.isascii() or any(mark in code for mark in ("...", "nnn", "zzz", "<", " ", "?")) for code in codes):
        return frozenset()
    return frozenset(codes)


class _NotClosed(Exception):
    """The structure cannot be used as a grammar."""


def _load(name: str, kind: str, version: str) -> Any:  # noqa: ANN401 - hl7apy's nested tuples
    from hl7apy import load_reference  # noqa: PLC0415  # a tenth of a second for each version, for those who ask
    from hl7apy.exceptions import ChildNotFound  # noqa: PLC0415

    try:
        return load_reference(name, kind, version)
    except (ChildNotFound, KeyError):
        return None


def _entries(loaded: Any) -> list[Any]:  # noqa: ANN401 - as above
    """The well-formed children: (name, reference, (least, most), kind)."""
    if not isinstance(loaded, tuple | list) or len(loaded) < 2 or loaded[0] not in ("sequence", "choice") or not loaded[1]:
        return []
    return [entry for entry in loaded[1] if len(entry) == 4 and entry[1] is not None]


def _parts(loaded: Any) -> tuple[Part, ...]:  # noqa: ANN401 - as above
    found: list[Part] = []
    for name, reference, (least, most), kind in _entries(loaded):
        if kind == "GRP":
            found.append(Part(name, least, most, _parts(reference), choice=reference[0] == "choice"))
        elif len(name) == 3:
            found.append(Part(name, least, most))
        else:
            raise _NotClosed  # ANYHL7SEGMENT
    if not found:
        raise _NotClosed
    return tuple(found)


def _references(loaded: Any) -> tuple[Reference, ...]:  # noqa: ANN401 - as above
    found: list[Reference] = []
    for name, reference, (least, most), _ in _entries(loaded):
        number = name.rpartition("_")[2]
        if not number.isdecimal() or len(reference) < 5:
            continue
        datatype, table = reference[2] or "", reference[4] or ""
        found.append(Reference(int(number), least, most, datatype, table, _references(reference)))
    return tuple(found)
