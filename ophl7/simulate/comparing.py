"""Compares what the simulators remember with what the broker's API tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ophl7.simulate.truth import Document

_STATUS_OF_A_CHART = ("name", "birth_date", "sex")


@dataclass(frozen=True, slots=True)
class Held:
    """What the broker holds. patients: identifier -> `GET /patients/{identifier}`, None for 404; the rest: items of the lists.

    merges None: this broker has no such call.
    """

    patients: Mapping[str, Document | None]
    appointments: Sequence[Document]
    charges: Sequence[Document]
    merges: Sequence[Document] | None


def differences(documents: Sequence[Document], held: Held) -> list[str]:
    """One sentence for each thing that is not as the simulators left it; [] when everything is.

    documents: `Truth.document` of every simulator that took part.
    """
    found: list[str] = []
    retired = {one["retired"]: document["side"] for document in documents for one in document["merges"]}
    for document in documents:
        for one in document["patients"]:
            found += _chart(one, document["side"], held.patients.get(one["id"]), one["id"] in retired)
        found += [f"{key} is found, and nobody may be" for key in document["unknown_patients"] if held.patients.get(key)]
        found += _fields(document["fields"], held)
    found += _appointments(documents, held)
    found += _charges(documents, held)
    found += [sentence for document in documents if document["side"] == "pm" for sentence in _bills(document)]
    found += _merges(documents, held)
    return found


def wanted_patients(documents: Sequence[Document]) -> list[str]:
    """Every identifier that must be asked for."""
    ids: dict[str, None] = {}
    for document in documents:
        for one in (*document["patients"], *document["unknown_patients"], *document["fields"]):
            ids[one if isinstance(one, str) else one.get("id") or one["patient"]] = None
        for merge in document["merges"]:
            ids[merge["retired"]] = ids[merge["survivor"]] = None
    return list(ids)


def _chart(one: Document, side: str, there: Document | None, is_retired: bool) -> Iterator[str]:
    key = one["id"]
    if there is None:
        yield f"{key} is not known"
        return
    for name in _STATUS_OF_A_CHART:
        is_now, should = there[name], one[name]
        if name == "name":
            is_now = {part: is_now[part] for part in should}
        elif name == "birth_date":
            is_now = (is_now or "").replace("-", "")
        if is_now != should:
            yield f"{key} has {name} {is_now!r} and not {should!r}"
    for path, value in one["fields"].items():
        yield from _field(key, path, value, there)
    if there["active"][side] is not (one["active"] and not is_retired):
        yield f"{key} is {'active' if there['active'][side] else 'inactive'} on the side of the {side.upper()}"
    if there["provisional"]:
        yield f"{key} is provisional still"


def _fields(fields: Sequence[Document], held: Held) -> Iterator[str]:
    for one in fields:
        there = held.patients.get(one["patient"])
        if there is None:
            yield f"{one['patient']} is not known"
        else:
            yield from _field(one["patient"], one["path"], one["value"], there)


def _field(key: str, path: str, value: str, there: Document) -> Iterator[str]:
    if there["fields"].get(path) != value:
        yield f"{key} has {path} {there['fields'].get(path)!r} and not {value!r}"


def _names(held: Held, documents: Sequence[Document]) -> dict[str, set[str]]:
    """Each identifier -> all identifiers of that patient, and of those with whom he was merged."""
    names: dict[str, set[str]] = {}
    for key, there in held.patients.items():
        known = {f"{one['authority']}:{one['id']}" for one in there["identifiers"]} if there is not None else set()
        names[key] = known | {key}
    for document in documents:
        for merge in document["merges"]:
            both = names[merge["retired"]] | names[merge["survivor"]]
            names[merge["retired"]] = names[merge["survivor"]] = both
    return names


def _appointments(documents: Sequence[Document], held: Held) -> Iterator[str]:
    names, there = _names(held, documents), {one["filler_id"]: one for one in held.appointments}
    for document in documents:
        for key in document["unknown_appointments"]:
            if key in there:
                yield f"appointment {key} is found, and must not be"
        for one in document["appointments"]:
            key = one["filler_id"]
            if key not in there:
                yield f"appointment {key} is not known"
                continue
            now = there[key]
            start = "".join(character for character in (now["start"] or "")[:19] if character.isdigit())
            if (now["status"], start) != (one["status"], one["start"]):
                yield f"appointment {key} is {now['status']} at {start} and not {one['status']} at {one['start']}"
            if now["patient"] not in names.get(one["patient"], {one["patient"]}):
                yield f"appointment {key} is of {now['patient']} and not of {one['patient']}"


def _charges(documents: Sequence[Document], held: Held) -> Iterator[str]:
    names = _names(held, documents)
    there: dict[tuple[str, str], list[Document]] = {}
    for now in held.charges:
        there.setdefault((now["transaction_id"], now["kind"]), []).append(now)
    billed = {(one["transaction_id"], one["kind"]) for document in documents for one in document["charges_received"]}
    sent: set[tuple[str, str]] = set()
    for document in documents:
        for one in document["charges"]:
            key = one["transaction_id"], one["kind"]
            name = f"charge {key[0]} ({key[1]})"
            if one["state"] == "accepted":
                sent.add(key)
            found = there.get(key, [])
            if len(found) != 1:
                yield f"{name} is there {len(found)} times and not once"
                continue
            for part in ("procedure", "modifiers", "units", "amount", "state"):
                if (found[0][part] or "") != one[part] and (found[0][part] or one[part]):
                    yield f"{name} has {part} {found[0][part]!r} and not {one[part]!r}"
            if found[0]["patient"] not in names.get(one["patient"], {one["patient"]}):
                yield f"{name} is of {found[0]['patient']} and not of {one['patient']}"
    if any(document["side"] == "pm" for document in documents) and any(document["side"] == "emr" for document in documents):
        yield from (f"charge {one[0]} ({one[1]}) did not come to the PM" for one in sorted(sent - billed))
        yield from (f"charge {one[0]} ({one[1]}) came to the PM and should not have" for one in sorted(billed - sent))


def _bills(document: Document) -> Iterator[str]:
    """Where the PM owns the patients, each charge comes under a chart of its own that it has not merged away (#44).

    The clinic charges a visit of two charts only after the desk has merged them, so no charge was on its way meanwhile.
    """
    retired = {one["retired"] for one in document["merges"]}
    charts = {one["id"] for one in document["patients"]} - retired
    for one in document["charges_received"]:
        if charts and one["patient"] not in charts:
            yield f"charge {one['transaction_id']} ({one['kind']}) came under {one['patient']}, which is no living chart"


def _merges(documents: Sequence[Document], held: Held) -> Iterator[str]:
    sides: dict[tuple[str, str], set[str]] = {}
    for document in documents:
        for one in document["merges"]:
            sides.setdefault((one["retired"], one["survivor"]), set()).add(document["side"])
    names = _names(held, documents)
    for (retired, survivor), by in sides.items():
        patient = held.patients.get(retired)
        for side in sorted(by):
            into: Any = patient["merged_into"][side] if patient is not None else None
            if into is None or into not in names[survivor]:
                yield f"{retired} is merged into {into} on the side of the {side.upper()} and not into {survivor}"
        state = "two_sided" if by == {"pm", "emr"} else "one_sided"
        found = [one for one in held.merges or () if one["retired"] in names[retired] and one["survivor"] in names[survivor]]
        if held.merges is not None and [one["state"] for one in found] != [state]:
            yield f"the merge of {retired} into {survivor} is {[one['state'] for one in found]} and not once {state}"
