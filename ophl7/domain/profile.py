"""What one product is like, as data: where it puts things, which codes it uses, what it wants to hear (decisions 2 to 7).

A profile is written as a TOML file (ophl7.profiles reads it); the attributes here are its tables and keys. What a profile does
not say is as in `generic`, which is `Profile()`. A profile is about its own peer: what that system sends is read by it, and
what we send there is written by it. Raises ValueError, from here, for values that cannot be meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from ophl7.domain.appointment import Status
from ophl7.domain.ownership import Owner
from ophl7.domain.patient import SNAPSHOT_SEGMENTS
from ophl7.domain.status_words import status_words
from ophl7.errors import AuthorError
from ophl7.hl7v2.ack import known_version
from ophl7.hl7v2.paths import message_path

_EVENT = re.compile(r"[A-Z0-9]{3}\^[A-Z0-9]{3}")
_CODE_FIELD = re.compile(r"[A-Z][A-Z0-9]{2}-\d{1,3}(\.\d{1,2})?")
_NEVER_MAPPED = frozenset({"PID-2", "PID-3", "PID-4"})  # ids have rules of their own (decisions 2 and 6)
_STATUS_PLACES = ("SCH-25", "SCH-6", "AIP-12", "AIL-12", "AIS-10", "AIG-14")

# ADT events about the course of a visit: they may say the progress of an appointment (#23).
PROGRESS_EVENTS = tuple(f"ADT^A{number:02}" for number in (*range(1, 8), *range(9, 17), 21, 22, 25, 26, 27, 32, 33, 38))

# What an FT1-6 asks for, by the codes of the sender's profile. A code that it does not name is a charge as any other.
Verb = Literal["new", "update", "void", "payment"]
_VERBS: tuple[Verb, ...] = get_args(Verb)

# An unknown key is a fault of whoever wrote the file, never ignored: a typo would silently switch something off.
_STRICT: dict[str, str] = {"extra": "forbid"}


def _events(key: str, events: Iterable[str]) -> None:
    for event in events:
        if not _EVENT.fullmatch(event):
            raise ValueError(f"{key}: {event!r} is not an event; write it like 'ADT^A04'")


def _paths(key: str, paths: Iterable[str]) -> None:
    for path in paths:
        try:
            message_path(path)
        except AuthorError as error:
            raise ValueError(f"{key}: {error}") from error


@dataclass(frozen=True, slots=True)
class About:
    """Where the profile comes from. verified: whether it was ever tried against the product itself."""

    __pydantic_config__: ClassVar = _STRICT
    product: str = ""
    source: str = ""
    note: str = ""
    verified: bool = False


@dataclass(frozen=True, slots=True)
class MessageQuirks:
    """control_id: `weak` where MSH-10 repeats (#86). strict: names that are not the link's are refused (#83)."""

    __pydantic_config__: ClassVar = _STRICT
    control_id: Literal["unique", "weak"] = "unique"
    ignore_events: frozenset[str] = frozenset()
    strict: bool = False

    def __post_init__(self) -> None:
        _events("ignore_events", self.ignore_events)


@dataclass(frozen=True, slots=True)
class IdPlaces:
    """Where ids of a patient stand in what the peer sends (decisions 2).

    keys: fields with the peer's own and the practice's key ids, the first that holds one counts. types: CX.5 of a key id, ""
    for none. ours: fields that hold the *other* system's id, bare. expects: the field in which the peer looks for its own id.
    """

    __pydantic_config__: ClassVar = _STRICT
    keys: tuple[str, ...] = ("PID-3", "PID-2")
    types: frozenset[str] = frozenset({"MR", "PI", "PT", "MRN", ""})
    ours: tuple[str, ...] = ()
    expects: str = "PID-3"

    def __post_init__(self) -> None:
        for name, paths in (("keys", self.keys), ("ours", self.ours), ("expects", (self.expects,))):
            for path in paths:
                if not re.fullmatch(r"PID-\d{1,2}", path):
                    raise ValueError(f"{name}: {path!r} is no field of PID; write it like 'PID-3'")
        if not self.keys:
            raise ValueError("keys: at least one field must hold the key id")


@dataclass(frozen=True, slots=True)
class FieldRules:
    """Whose each field is, and what an empty one means (decisions 3 and 9).

    owners: path or segment -> owner, over the table of decisions 9. takes: fields of the other system's edits that are passed
    on to this peer (#5). blank: what an empty field of the peer means; blank_deletes: fields for which it means delete.
    drift: restore = a value of this peer's that was not taken is answered with the owner's current one.
    """

    __pydantic_config__: ClassVar = _STRICT
    owners: Mapping[str, Owner] = field(default_factory=dict)
    takes: frozenset[str] = frozenset()
    blank: Literal["keep", "delete"] = "keep"
    blank_deletes: frozenset[str] = frozenset()
    drift: Literal["report", "restore"] = "report"

    def __post_init__(self) -> None:
        for name, paths in (("owners", self.owners), ("takes", self.takes), ("blank_deletes", self.blank_deletes)):
            for path in paths:
                if path not in SNAPSHOT_SEGMENTS and not re.fullmatch(r"PID-\d{1,2}", path):
                    raise ValueError(f"{name}: {path!r} is no field of PID and none of {', '.join(SNAPSHOT_SEGMENTS)}")
                if path in {"PID-1", "PID-3"}:  # a set id is nobody's, and ids are each of them its authority's
                    raise ValueError(f"{name}: {path} has no owner; ids are learned, see [ids]")


@dataclass(frozen=True, slots=True)
class ScheduleRules:
    """Where an appointment's status stands, and what its codes mean (decisions 4, domain 1.3).

    status_from: places in the order in which they are asked. status_codes: code or text, any case -> status; generic_codes:
    whether the generic ones count beside them. progress_events: ADT events that say the status of the appointment that
    `visit` names (#23). writeback: progress that the EMR may report to the owner (#28). forward_blocks: whether this peer is
    told of the other's blocks without a patient (#27).
    A profile says this of what its own peer sends; `writeback` and `forward_blocks` say what this peer wants to hear.
    """

    __pydantic_config__: ClassVar = _STRICT
    status_from: tuple[str, ...] = ("SCH-25",)
    status_codes: Mapping[str, Status] = field(default_factory=dict)
    generic_codes: bool = True
    progress_events: Mapping[str, Status] = field(default_factory=dict)
    visit: str = "PV1-19"
    writeback: frozenset[Status] = frozenset()
    forward_blocks: bool = False
    # Worked out once: what a code means, and each place as a segment with the paths of code and text.
    words: Mapping[str, Status] = field(init=False, repr=False, compare=False)
    places: tuple[tuple[str, str, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for place in self.status_from:
            if place not in _STATUS_PLACES:
                raise ValueError(f"status_from: {place!r} holds no status; there are {', '.join(_STATUS_PLACES)}")
        _events("progress_events", self.progress_events)
        for event in self.progress_events:
            if event not in PROGRESS_EVENTS:
                raise ValueError(f"progress_events: {event!r} is about no visit; there are {', '.join(PROGRESS_EVENTS)}")
        _paths("visit", (self.visit,))
        object.__setattr__(self, "words", status_words(self.status_codes, generic=self.generic_codes))
        parts = [place.split("-") for place in self.status_from]
        object.__setattr__(self, "places", tuple((name, f"{number}.1", f"{number}.2") for name, number in parts))


@dataclass(frozen=True, slots=True)
class ChargeRules:
    """How the EMR's charges are read, and how the PM wants them (decisions 5, domain 1.4, decision record 0039).

    Read by the EMR's profile: new, update, void, payment, supply_ids, service_date, oldest_days, procedure, amount. Written by
    the PM's: corrections, update_code, void_code, negative_voids, payments, drug_code; and new, where an update leaves as that.

    new, update, void, payment: its codes of FT1-6. corrections: what becomes of another content under a known FT1-2 (#49): a
    person's (hold), a void and the new one (replace), or the receiver's update code (update, `update_code`).
    void_code: how the void of `replace` is written. payments: #52. supply_ids: an empty FT1-2 is given one of ours (#40).
    service_date: what becomes of one in the future or older than `oldest_days` (#54), 0 for no limit.
    procedure, amount: places in the order in which they are asked; FT1-12 and FT1-22 are per unit.
    drug_code: where the NDC goes in what is sent to this peer in a version without FT1-29 (before 2.5): a field of FT1, or "".
    """

    __pydantic_config__: ClassVar = _STRICT
    new: frozenset[str] = frozenset({"CG"})
    update: frozenset[str] = frozenset()
    void: frozenset[str] = frozenset({"CD"})
    payment: frozenset[str] = frozenset({"PY", "AJ", "CO"})
    corrections: Literal["hold", "replace", "update"] = "hold"
    update_code: str = ""
    void_code: str = "CD"
    negative_voids: bool = False
    payments: Literal["hold", "forward"] = "hold"
    supply_ids: bool = False
    service_date: Literal["forward", "hold"] = "forward"
    oldest_days: int = 0
    procedure: tuple[str, ...] = ("FT1-25", "PR1-3", "FT1-7")
    amount: tuple[str, ...] = ("FT1-11", "FT1-12", "FT1-22")
    drug_code: str = ""
    # Worked out once: FT1-6 in capitals -> what it asks for. Case does not count, as everywhere with FT1-6.
    verbs: Mapping[str, Verb] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        verbs: dict[str, Verb] = {}
        for verb in _VERBS:
            for code in getattr(self, verb):
                if verbs.setdefault(code.upper(), verb) != verb:
                    raise ValueError(f"{verb}: {code!r} stands in {verbs[code.upper()]} too; one code has one meaning")
        object.__setattr__(self, "verbs", verbs)
        if self.corrections == "update" and not self.update_code:
            raise ValueError('update_code: corrections = "update" needs the code that the receiver reads as an update')
        for name, places, allowed in (
            ("procedure", self.procedure, ("FT1-25", "PR1-3", "FT1-7")),
            ("amount", self.amount, ("FT1-11", "FT1-12", "FT1-22")),
        ):
            for place in places:
                if place not in allowed:
                    raise ValueError(f"{name}: {place!r} is none of {', '.join(allowed)}")
        if self.drug_code and not re.fullmatch(r"FT1-\d{1,2}", self.drug_code):
            raise ValueError(f"drug_code: {self.drug_code!r} is no field of FT1; write it like 'FT1-29'")
        if self.oldest_days < 0:
            raise ValueError("oldest_days: write a number of days, or 0 for no limit")


@dataclass(frozen=True, slots=True)
class MergeRules:
    """forward: whether this peer hears of the other's merges as merges (decisions 6)."""

    __pydantic_config__: ClassVar = _STRICT
    forward: bool = False


@dataclass(frozen=True, slots=True)
class SuperbillRules:
    """events: more of kind #56 than the table names. user_field: where the user stands who sent one; "" as usual."""

    __pydantic_config__: ClassVar = _STRICT
    events: frozenset[str] = frozenset()
    user_field: str = ""

    def __post_init__(self) -> None:
        _events("events", self.events)
        if self.user_field:
            _paths("user_field", (self.user_field,))


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How this peer's answers to what we send are read, where they do not say it in the codes of HL7 table 0357 (decisions 8).

    codes: what it writes into MSA-3, or ERR-5, without regard to case -> code of table 0357: "record locked" = 206. In MSA-3 it
    may stand within a longer text, and counts only where the answer names no code of the table.
    """

    __pydantic_config__: ClassVar = _STRICT
    codes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for said, code in self.codes.items():
            if not said.strip():
                raise ValueError("codes: an empty text would be in every answer")
            if not 100 <= code <= 207:
                raise ValueError(f"codes: {code} is no code of HL7 table 0357; there are 100 to 103 and 200 to 207")


@dataclass(frozen=True, slots=True)
class Outbound:
    """What we send to this peer says of itself: MSH-12 and MSH-3 to -6; "" as received (contract 4)."""

    __pydantic_config__: ClassVar = _STRICT
    version: str = ""
    sending_application: str = ""
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""

    def __post_init__(self) -> None:
        if self.version and not known_version(self.version):
            raise ValueError(f"version: {self.version!r} is not 2.1 to 2.9")
        for name in ("sending_application", "sending_facility", "receiving_application", "receiving_facility"):
            text = getattr(self, name)
            if "|" in text or not text.isprintable():
                raise ValueError(f"{name}: {text!r} would break MSH; leave out bars and what cannot be printed")


AS_RECEIVED = Outbound()
"""What a profile says that says nothing of it: such a copy is stored once, as it came."""


@dataclass(frozen=True, slots=True)
class CodeTable:
    """A table of codes that differ between the two systems (#36, #46).

    fields: where such a code stands in what this peer sends (`FT1-20`, `AIP-3`; the first component of each repetition where
    none is named). codes: its code -> the other system's.
    """

    __pydantic_config__: ClassVar = _STRICT
    fields: tuple[str, ...]
    codes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.fields:
            raise ValueError('fields: say where the codes of this table stand, e.g. ["FT1-20"]')
        for path in self.fields:
            if not _CODE_FIELD.fullmatch(path):
                raise ValueError(f"fields: {path!r} is no field; write it like 'FT1-20' or 'AIP-3.1'")
            if path.startswith("MSH-") or path.partition(".")[0] in _NEVER_MAPPED:
                raise ValueError(f"fields: {path!r} is never mapped")


@dataclass(frozen=True, slots=True)
class Profile:
    """One product. maps: name of a code table -> table; names are lower case (`provider`, `location`, `type`, `plan`).

    origin: the file that it was read from, for people; no key of the file.
    """

    __pydantic_config__: ClassVar = _STRICT
    name: str = "generic"
    about: About = About()
    messages: MessageQuirks = MessageQuirks()
    ids: IdPlaces = IdPlaces()
    fields: FieldRules = field(default_factory=FieldRules)
    schedule: ScheduleRules = field(default_factory=ScheduleRules)
    charges: ChargeRules = ChargeRules()
    merges: MergeRules = MergeRules()
    superbill: SuperbillRules = SuperbillRules()
    outbound: Outbound = AS_RECEIVED
    answers: AnswerRules = field(default_factory=AnswerRules)
    maps: Mapping[str, CodeTable] = field(default_factory=dict)
    origin: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        taken: dict[str, str] = {}
        for name, table in self.maps.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"maps: {name!r} is no name of a table; use lower case letters, digits and _")
            for path in table.fields:
                if path in taken:
                    raise ValueError(f"maps: {path} stands in {taken[path]} and in {name}; a field has one table")
                taken[path] = name


GENERIC = Profile()
