"""Everything to a peer since some time, sent again: what it would be, the run, and what a person does with it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NoReturn, cast

from ophl7.admin.bodies import flag_in, instant_in, line_in, reason_in
from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.instants import iso
from ophl7.admin.messages import PEERS
from ophl7.admin.parameters import Query, path_number
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem, not_found
from ophl7.domain.changes import Stream
from ophl7.domain.patient import Side
from ophl7.engine.resend_rows import Resend, ResendTally
from ophl7.engine.resending import DecideResend, NotResent, Resending, ResendVerb, StartResend
from ophl7.errors import StoreRefused

STREAMS: Mapping[str, tuple[Stream, ...]] = {"record": ("record",), "charges": ("charges",), "all": ("record", "charges")}
MOST_REFUSALS = 1000

_CHARGES = "charges that this system still has would stand there twice: it must know them by FT1-2, or refuse them (205)"
_MERGES = "merges of that system since then are not in its backup: its staff must do them again, or take them apart here"
_GONE = "the bytes of some were removed when their retention was over: they cannot be sent again"


async def resend(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /links/{peer}/resend`: what would be sent again, or with `send` the run. Raises Problem 404, 409, 422, 503."""
    peer = str(asked.request.path_params["peer"])
    if peer not in PEERS:
        raise not_found("the links are those to pm and emr")
    side, now = cast("Side", peer), face.resends.now()
    reason = reason_in(body)
    since = instant_in(body, "since", face.zone)
    until = instant_in(body, "until", face.zone) if body.get("until") is not None else now
    if since >= until:
        raise Problem(422, "since: it must be before until, and in the past", parameter="since")
    streams = STREAMS.get(line_in(body, "streams", 16) if body.get("streams") is not None else "record")
    if streams is None:
        raise Problem(422, f"streams: one of {', '.join(STREAMS)}", parameter="streams")
    stop_after = body.get("stop_after", 5)
    if not isinstance(stop_after, int) or isinstance(stop_after, bool) or not 1 <= stop_after <= MOST_REFUSALS:
        raise Problem(422, f"stop_after: a number from 1 to {MOST_REFUSALS}", parameter="stop_after")
    run: Document | None = None
    plan = await _plan(face, side, since, until, streams)
    if flag_in(body, "send"):
        order = StartResend(side, since, until, streams, stop_after, asked.actor, reason, asked.key)
        run = _told(face, await _done(face.resends.start(order)))
    return {"peer": peer, "since": iso(since, face.zone), "until": iso(until, face.zone), **plan, "run": run}


async def _plan(face: Face, side: Side, since: float, until: float, streams: Sequence[Stream]) -> Document:
    found = await face.resends.reads.preview(side, since, until)
    merges = await face.resends.reads.merged_since(side, since)
    items = [
        {
            "stream": one["stream"],
            "chosen": one["stream"] in streams,
            "deliveries": one["deliveries"],
            "lanes": one["lanes"],
            "oldest": iso(one["oldest"], face.zone),
            "newest": iso(one["newest"], face.zone),
            "gone": one["gone"],
        }
        for one in found
    ]
    chosen = [one for one in items if one["chosen"]]
    warnings = [_CHARGES] if any(one["stream"] == "charges" for one in chosen) else []
    warnings += [_MERGES] if merges else []
    warnings += [_GONE] if any(one["gone"] for one in chosen) else []
    return {"streams": items, "merges": merges, "warnings": warnings}


async def runs(face: Face, query: Query) -> Page:
    """`GET /resends`."""
    found = await face.resends.reads.runs(before=query.before, limit=query.limit + 1)
    return page([run_item(face, run, tally) for run, tally in found], query.limit)


async def decide(face: Face, asked: Asked, body: Mapping[str, Any], *, verb: ResendVerb) -> Document:
    """`POST /resends/{id}/VERB`; again is no fault. Raises Problem 404, 500, 503."""
    number = path_number(asked.request)
    if number is None:
        raise not_found("no run has this number")
    order = DecideResend(verb, number, asked.actor, reason_in(body), asked.key)
    done = await _done(face.resends.decide(order))
    if isinstance(done, NotResent):
        rows = await face.resends.reads.runs(number=number, limit=1)
        if rows and (done.again or (rows[0][0].state == "dropped" and verb == "drop" and done.unknown)):
            return run_item(face, *rows[0])
        if rows and not done.unknown:
            raise Problem(409, done.reason, run=run_item(face, *rows[0]))
        if rows:
            raise Problem(409, f"this run is {rows[0][0].state}: there is nothing to {verb}", run=run_item(face, *rows[0]))
        raise not_found("no run has this number")
    return run_item(face, done.run, done.tally)


def _told(face: Face, done: Resending | NotResent) -> Document:
    if isinstance(done, NotResent):
        raise Problem(409, done.reason)
    return run_item(face, done.run, done.tally)


async def _done(work: Awaitable[Resending | NotResent]) -> Resending | NotResent:
    try:
        return await work
    except (StoreRefused, TimeoutError) as failed:
        _undone(failed)


def _undone(failed: StoreRefused | TimeoutError) -> NoReturn:
    if isinstance(failed, TimeoutError):
        raise Problem(503, "it was not on disk in time; look at the runs before you try once more") from None
    detail = "the database refused what would follow from this; nothing was changed: a fault of ophl7, please report it"
    raise Problem(500, detail, code=failed.code) from failed


def run_item(face: Face, run: Resend, tally: ResendTally) -> Document:
    """A run with what has become of its copies."""
    return {
        "id": run.id,
        "peer": run.destination,
        "state": run.state,
        "since": iso(run.since, face.zone),
        "until": iso(run.until, face.zone),
        "streams": list(run.streams),
        "stop_after": run.stop_after,
        "started_at": iso(run.started_at, face.zone),
        "looked_through": 1.0 if not run.last else round(run.place / run.last, 3),
        "made": run.made,
        "gone": run.gone,
        **tally._asdict(),
    }
