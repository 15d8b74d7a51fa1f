"""The console's page, for people: what listens where, what waits, what came last, and what somebody must decide.

No patient data, no script: a hold is decided with a form. The page renews itself, but not under somebody who is writing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ophl7.admin.alarms import alarm_item
from ophl7.admin.bodies import LONGEST_REASON, read_form, reason_in
from ophl7.admin.guard import COOKIE, Guard
from ophl7.admin.holds import ENDS, carry_out, find
from ophl7.admin.instants import iso
from ophl7.admin.maps import LONGEST_CODE, code_in, entry_for
from ophl7.admin.maps import carry_out as enter
from ophl7.admin.ports import Document, Face, Row
from ophl7.admin.problems import Problem, not_found
from ophl7.admin.retention import shown as shown_retention
from ophl7.admin.schedule_page import schedule_of
from ophl7.admin.wording import DELIVERIES, PEERS
from ophl7.domain.coding import code_of_key
from ophl7.engine.acts import Verb
from ophl7.errors import StoreAway
from ophl7.hl7v2.redact import safe_control_id, safe_event

_LAST = 20  # messages on the page
_COUNTED = 1000  # messages whose states are counted
_STOPPED = ("parked", "held", "unknown")  # deliveries that wait for somebody

_VERBS: dict[str, Verb] = {"release": "release", "discard": "discard"}


class Pages:
    """The pages of one face."""

    def __init__(self, face: Face, guard: Guard) -> None:
        self._face = face
        self._guard = guard
        self._templates = Environment(
            loader=PackageLoader("ophl7.admin"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._style = _style()

    async def style(self, request: Request) -> Response:
        """`/style.css`."""
        self._guard.near(request)
        return Response(self._style, media_type="text/css")

    async def status(self, request: Request) -> Response:
        """`/`: opens with the link that is printed at start, whose token goes into a cookie and out of the address line.

        `?decide=3` opens the form of that hold, `?decided=3` says how it ended.
        """
        try:
            token = request.query_params.get("token")
            if token is not None:
                self._guard.near(request)
                return self._enter(request, token)
            self._guard.admit(request)
        except Problem as closed:
            return self.show("closed.html", closed.status, reason=closed.detail)
        return await self._overview(_number(request, "decide"), decided=_number(request, "decided"))

    async def schedule(self, request: Request) -> Response:
        """`/schedule?date=2026-11-23`: that day's appointments and how they came to their status; without a date, today's."""
        try:
            self._guard.admit(request)
        except Problem as closed:
            return self.show("closed.html", closed.status, reason=closed.detail)
        return self.show("schedule.html", HTTPStatus.OK, **await schedule_of(self._face, request))

    async def decide(self, request: Request) -> Response:
        """`POST /holds/{id}/{verb}`: the form of a hold. What went wrong is said on the page, with the form as it was."""
        given: dict[str, str] = {}
        try:
            given = await read_form(request)
            actor = self._guard.admit_form(request, given.get("form", ""))
        except Problem as closed:
            return self.show("closed.html", closed.status, reason=closed.detail)
        try:
            row = await find(self._face, request)
            await self._carry_out(request.path_params["verb"], row, actor, given)
        except Problem as trouble:
            number = int(request.path_params["id"]) if trouble.status in {409, 422, 500} else None
            return await self._overview(number, trouble=trouble, reason=given.get("reason", ""), to=given.get("to", ""))
        except (StoreAway, TimeoutError):
            away = Problem(503, "the database cannot be written just now; look at the hold again before you try once more")
            return await self._overview(None, trouble=away)
        return RedirectResponse(f"/?decided={row['id']}", HTTPStatus.SEE_OTHER)

    async def _carry_out(self, verb: str, row: Row, actor: str, given: Mapping[str, str]) -> None:
        if verb == "map":
            await enter(self._face, entry_for(row, code_in(given, "to"), actor, reason_in(given)), row)
        elif verb in _VERBS:
            await carry_out(self._face, actor, _VERBS[verb], row, reason_in(given))
        else:
            raise not_found("a hold is released or discarded, or its code is mapped, nothing else")

    def _enter(self, request: Request, token: str) -> Response:
        if not self._guard.knows(token):
            raise Problem(401, "this link is not, or no longer, valid; the broker prints a new one when it starts")
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, self._guard.cookie, path="/", secure=secure, httponly=True, samesite="lax")
        return answer

    async def _overview(
        self,
        deciding: int | None,
        *,
        decided: int | None = None,
        trouble: Problem | None = None,
        reason: str = "",
        to: str = "",
    ) -> Response:
        """The page. deciding: the hold whose form is open; reason, to: what stands in it already."""
        face = self._face
        status, checks = face.ready()
        shown: Document = {
            "version": face.version,
            "ready": status == HTTPStatus.OK,
            "trouble": [check["reason"] for check in checks.get("checks", {}).values() if check["reason"]],
            "alarms": [alarm_item(face, row) for row in face.alarms()],
            "links": list(face.links()),
            "retention": shown_retention(face),
            "peers": PEERS,
            "away": False,
            "states": {},
            "counted": _COUNTED,
            "holds": [],
            "more_holds": False,
            "stopped": [],
            "messages": [],
            "deciding": None,
            "outcome": None,
            "fault": trouble.detail if trouble is not None else None,
            "reason": reason,
            "to": to,
            "longest": LONGEST_REASON,
            "longest_code": LONGEST_CODE,
            "form": self._guard.form,
        }
        try:
            held = await face.reads.holds(limit=_LAST + 1)
            shown |= {
                "states": await face.reads.states(_COUNTED),
                "holds": [self._hold(row) for row in held[:_LAST]],
                "more_holds": len(held) > _LAST,
                "stopped": await self._stopped(),
                "messages": [self._message(row) for row in await face.reads.messages(limit=_LAST)],
                "deciding": await self._open(deciding),
                "outcome": await self._outcome(decided),
            }
        except (StoreAway, TimeoutError):
            shown["away"] = True  # the page says so; the links and checks are worth seeing just then
        return self.show("status.html", trouble.status if trouble is not None else 200, **shown)

    async def _open(self, number: int | None) -> Document | None:
        """The hold that somebody is deciding, if it waits still."""
        row = await self._face.reads.hold(number) if number is not None else None
        return self._hold(row) if row is not None and row["closed_at"] is None else None

    async def _outcome(self, number: int | None) -> Document | None:
        """How a hold ended, and what its message is now."""
        row = await self._face.reads.hold(number) if number is not None else None
        if row is None or row["closed_at"] is None:
            return None
        message = await self._face.reads.message(row["message"])
        return {
            "id": row["id"],
            "message": row["message"],
            "how": ENDS.get(row["closed_how"], "it was closed"),
            "state": message["state"] if message is not None else "",
        }

    async def _stopped(self) -> list[Document]:
        """Deliveries that go on when somebody acts."""
        rows = [row for state in _STOPPED for row in await self._face.reads.deliveries(state=state, limit=_LAST)]
        return [
            {
                "id": row["id"],
                "to": PEERS[row["destination"]],
                "message": row["message"],
                "words": DELIVERIES[row["state"]],
                "answer": row["last_answer"],
                "since": iso(row["changed_at"] or row["created_at"], self._face.zone),
            }
            for row in sorted(rows, key=lambda row: -int(row["id"]))[:_LAST]
        ]

    def _hold(self, row: Row) -> Document:
        """The kind of the key only: what follows it names a patient. mapping: table and code, where it waits for a code."""
        return {
            "id": row["id"],
            "kind": str(row["key"]).partition(":")[0],
            "mapping": code_of_key(row["key"]),
            "reason": row["reason"],
            "message": row["message"],
            "since": iso(row["since"], self._face.zone),
            "peer": PEERS[row["peer"]],
        }

    def _message(self, row: Row) -> Document:
        return {
            "id": row["id"],
            "at": iso(row["received_at"], self._face.zone),
            "peer": PEERS[row["peer"]],
            "event": safe_event(row["event"]),
            "control_id": safe_control_id(row["control_id"]),
            "state": row["state"],
            "ack": row["ack_code"],
            "reason": row["reason"],
        }

    def show(self, name: str, status: int, **values: object) -> Response:
        """A template as a page."""
        return HTMLResponse(self._templates.get_template(name).render(**values), status)


def _number(request: Request, name: str) -> int | None:
    """An id of the query; None for anything else."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


@cache
def _style() -> bytes:
    return (files("ophl7.admin") / "templates" / "style.css").read_bytes()
