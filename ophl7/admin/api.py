"""The calls under `/api/v1`, in one table: the routes and `/openapi.json` are both made from it."""

from __future__ import annotations

from functools import partial

from ophl7.admin import (
    alarms,
    audit,
    dispatching,
    explained,
    holds,
    maps,
    merges,
    messages,
    people,
    queues,
    replays,
    resends,
    retention,
    unmerges,
)
from ophl7.admin.answers import (
    ALARM,
    APPOINTMENT,
    AUDIT,
    BY_A_PERSON,
    CHAIN,
    CHARGE,
    CODE,
    DECIDED,
    DELIVERY,
    DRIFT,
    ENTRY,
    EXPLAINED,
    HOLD,
    HOLD_DETAIL,
    LINK,
    MAP,
    MAP_TASK,
    MERGE,
    MESSAGE,
    MESSAGE_DETAIL,
    PATIENT,
    PATIENT_FIELDS,
    PEER,
    REPLAYED,
    RESEND,
    RESEND_PLAN,
    RETENTION,
    TIMELINE,
    UNMERGE,
    WHOSE_CODES,
    WHY,
)
from ophl7.admin.api_books import BOOK_CALLS
from ophl7.admin.calls import Call, Deed, Inquiry, Listing, Parameter, Single
from ophl7.admin.json_types import NUMBER, TIME
from ophl7.engine.dispatching import DeliveryVerb, LinkVerb
from ophl7.engine.resending import ResendVerb

PREFIX = "/api/v1"


def _on_delivery(verb: DeliveryVerb, summary: str) -> Deed:
    answer = partial(dispatching.decide, verb=verb)
    return Deed(f"/deliveries/{{id}}/{verb}", answer, f"{summary}; audited with the reason", WHY, {**DELIVERY, **BY_A_PERSON})


def _on_link(verb: LinkVerb, summary: str) -> Deed:
    answer = partial(dispatching.switch, verb=verb)
    return Deed(f"/links/{{peer}}/{verb}", answer, f"{summary}; audited with the reason", WHY, {**LINK, **BY_A_PERSON})


def _on_resend(verb: ResendVerb, summary: str) -> Deed:
    return Deed(
        f"/resends/{{id}}/{verb}", partial(resends.decide, verb=verb), f"{summary}; audited with the reason", WHY, RESEND
    )


CALLS: tuple[Call, ...] = (
    Listing(
        "/messages",
        messages.messages,
        "Messages received, and what became of them",
        MESSAGE,
        (
            Parameter("peer", "who sent it", messages.PEERS),
            Parameter("type", "message type and event, ADT^A08, or a type alone"),
            Parameter("control_id", "MSH-10 as sent"),
            Parameter("state", "what became of it", messages.STATES),
            PATIENT,
            Parameter("since", "received at or after this time; a date is its begin"),
            Parameter("until", "received before this time; a date is its end"),
        ),
    ),
    Single("/messages/{id}", messages.message, "One message, parsed, with its verdicts; audited", MESSAGE_DETAIL),
    Single("/messages/{id}/raw", messages.raw, "The bytes of the frame as they came; audited", content="application/hl7-v2"),
    Single("/messages/{id}/timeline", messages.steps, "What became of a message, step by step", TIMELINE),
    Inquiry(
        "/explain",
        explained.explain,
        "What would become of the messages of a frame, by the real path; changes nothing",
        EXPLAINED,
        (Parameter("peer", "who would send it", messages.PEERS),),
        "application/hl7-v2",
    ),
    Deed(
        "/messages/{id}/replay",
        replays.replay,
        "Judges a stored message by today's rules, as a message of its own; nobody is answered; audited with the reason",
        WHY,
        REPLAYED,
        {"apply_stale": {"type": "boolean", "default": False}, "resend": {"type": "boolean", "default": False}},
    ),
    Single(
        "/patients/{identifier}",
        people.patient,
        "One patient; 409 with the list where a bare id is that of several",
        PATIENT_FIELDS,
    ),
    Listing(
        "/appointments",
        people.appointments,
        "The schedule",
        APPOINTMENT,
        (PATIENT, Parameter("date", "the day of the start, in the practice's zone")),
    ),
    Listing(
        "/charges",
        people.charges,
        "Charges, also held and refused ones",
        CHARGE,
        (PATIENT, Parameter("state", "where it stands", people.CHARGE_STATES), Parameter("date", "the service date")),
    ),
    *BOOK_CALLS,
    Listing(
        "/merges",
        merges.merges,
        "Charts that a side has merged, and who must do it yet",
        MERGE,
        (PATIENT, Parameter("state", "where it stands", merges.MERGE_STATES)),
    ),
    Single(
        "/merges/{id}/unmerge",
        unmerges.plan,
        "What would follow from taking a merge apart on one side; changes nothing",
        UNMERGE,
        parameters=(Parameter("side", "on whose side; may be left out where only one has merged them", messages.PEERS),),
    ),
    Deed(
        "/merges/{id}/unmerge",
        unmerges.unmerge,
        "Takes a merge apart on one side, as the plan says; 409 with the new plan if it has changed; audited with the reason",
        WHY,
        UNMERGE,
        optional={"side": PEER, "plan": {"type": "string", "maxLength": 64}},
    ),
    Listing(
        "/holds",
        holds.holds,
        "Messages that wait for a condition",
        HOLD,
        (Parameter("peer", "who sent it", messages.PEERS), Parameter("message", "the id of a message")),
    ),
    Single("/holds/{id}", holds.hold, "One hold, open or closed, and how it ended", HOLD_DETAIL),
    Deed(
        "/holds/{id}/release",
        holds.release,
        "Sets the hold's condition aside for this message and judges the message again; audited with the reason",
        WHY,
        DECIDED,
    ),
    Deed(
        "/holds/{id}/discard",
        holds.discard,
        "Lets the message of this hold go without effect, its charges cancelled; audited with the reason",
        WHY,
        DECIDED,
    ),
    Deed(
        "/holds/{id}/redirect",
        holds.redirect,
        "Takes a held charge or booking for another patient than it names, and judges it again; audited with the reason",
        {"patient": {"type": "string", "minLength": 1, "maxLength": 300}, **WHY},
        DECIDED,
    ),
    Deed(
        "/holds/{id}/map",
        maps.map_hold,
        "Says what the code is called that this hold waits for; all that waited for just it goes on, in the same commit; "
        "audited with the reason",
        {"to": CODE, **WHY},
        {**DECIDED, **ENTRY},
    ),
    Listing(
        "/maps",
        maps.maps,
        "What codes are called in the other system: the profile's tables, and people's entries over them",
        MAP,
        WHOSE_CODES,
        paged=False,
    ),
    Deed(
        "/maps",
        maps.enter,
        "Makes or changes an entry, which lets go on what waited for it; null for `to` takes a person's entry back; audited",
        {"peer": PEER, "table": CODE, "code": CODE, "to": {**CODE, "type": ["string", "null"]}, **WHY},
        {**ENTRY, "at": TIME, "released": NUMBER},
    ),
    Listing("/maps/tasks", maps.tasks, "Codes that came and have no entry yet", MAP_TASK, WHOSE_CODES),
    Single(
        "/maps/export",
        maps.export,
        "The tables of one peer, people's entries included, to be pasted into its profile",
        content="application/toml",
        parameters=WHOSE_CODES[:1],
    ),
    Listing(
        "/drift",
        queues.drift,
        "Values that were not taken",
        DRIFT,
        (PATIENT, Parameter("peer", "who offered it", messages.PEERS)),
    ),
    Listing(
        "/deliveries",
        queues.deliveries,
        "The outbox",
        DELIVERY,
        (
            Parameter("destination", "where it goes", messages.PEERS),
            Parameter("state", "where it stands; open: whatever is not settled", (*queues.DELIVERY_STATES, queues.OPEN)),
            Parameter("message", "the id of a message"),
        ),
    ),
    Listing("/links", queues.links, "The links to both peers", LINK, paged=False),
    _on_delivery("retry", "Sends a delivery again: the same bytes under the same control id"),
    _on_delivery("renew", "Sends a delivery that was refused or lost as a new message: another control id"),
    _on_delivery("skip", "Lets a delivery go: it never leaves, and what waits behind it goes on"),
    _on_delivery("close", "Closes a delivery that was refused for good; what waits behind it goes on"),
    _on_delivery("arrived", "Says that a delivery without an answer has arrived, as was seen there"),
    _on_link("pause", "Sends nothing to this peer until it is resumed, also after a restart"),
    _on_link("drain", "Takes nothing from this peer until it is resumed, also after a restart; what waits for it still leaves"),
    _on_link("resume", "Sends to this peer and takes from it again"),
    Deed(
        "/links/{peer}/resend",
        resends.resend,
        "Everything that this peer had accepted since a time, again: what it would be, or with `send` a run that sends it; "
        "audited with the reason",
        {"since": TIME, **WHY},
        RESEND_PLAN,
        {
            "until": TIME,
            "streams": {"enum": list(resends.STREAMS)},
            "stop_after": {"type": "integer", "minimum": 1, "maximum": resends.MOST_REFUSALS, "default": 5},
            "send": {"type": "boolean", "default": False},
        },
    ),
    Listing("/resends", resends.runs, "Runs that send everything again, and how far they are", RESEND),
    _on_resend("continue", "Goes on with a run that refusals have stopped"),
    _on_resend("drop", "Ends a run: what of it did not leave never will"),
    Listing(
        "/alarms",
        alarms.alarms,
        "Alarms that are open, and those that are over",
        ALARM,
        (
            Parameter("state", "open or resolved; both if not said", alarms.STATES),
            Parameter("kind", "what kind of alarm", alarms.ALARM_KINDS),
        ),
    ),
    Deed(
        "/alarms/{id}/acknowledge",
        alarms.acknowledge,
        "Says that somebody looks after an alarm, which ends it where nothing else does; audited with the reason",
        WHY,
        ALARM,
    ),
    Listing(
        "/audit",
        audit.audit,
        "Who did what",
        AUDIT,
        (
            Parameter("actor", "who did it"),
            Parameter("action", "what was done, e.g. release-hold"),
            Parameter("since", "at or after this time; a date is its begin"),
            Parameter("until", "before this time; a date is its end"),
        ),
    ),
    Single("/audit/verify", audit.verify, "Whether every audit row is still what was written", CHAIN),
    Single("/retention", retention.status, "What retention removed in its last run, and what it kept, by why", RETENTION),
    Deed("/retention/run", retention.purge, "Begins a run of retention now; audited with the reason", WHY, RETENTION),
    Listing("/plugins", queues.plugins, "Handlers and rules that are loaded", {}, paged=False),
    Listing("/routes", queues.routes, "Which handlers see which event", {}, paged=False),
)
