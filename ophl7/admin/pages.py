"""The console's first page, for people: what listens where, what waits, what came last. No patient data, no script."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ophl7.admin.guard import COOKIE, Guard
from ophl7.admin.instants import iso
from ophl7.admin.ports import Document, Face, Row
from ophl7.admin.problems import Problem
from ophl7.admin.timeline import PEERS
from ophl7.errors import StoreAway
from ophl7.hl7v2.redact import safe_control_id, safe_event

_LAST = 20  # messages on the page
_COUNTED = 1000  # messages whose states are counted


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
        """`/`: opens with the link that is printed at start, whose token goes into a cookie and out of the address line."""
        try:
            token = request.query_params.get("token")
            if token is not None:
                self._guard.near(request)
                return self._enter(request, token)
            self._guard.admit(request)
        except Problem as closed:
            return self._show("closed.html", closed.status, reason=closed.detail)
        return await self._overview()

    def _enter(self, request: Request, token: str) -> Response:
        if not self._guard.knows(token):
            raise Problem(401, "this link is not, or no longer, valid; the broker prints a new one when it starts")
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, self._guard.cookie, path="/", secure=secure, httponly=True, samesite="lax")
        return answer

    async def _overview(self) -> Response:
        face = self._face
        status, checks = face.ready()
        trouble = [check["reason"] for check in checks.get("checks", {}).values() if check["reason"]]
        shown: Document = {
            "version": face.version,
            "ready": status == HTTPStatus.OK,
            "trouble": trouble,
            "links": list(face.links()),
            "peers": PEERS,
            "away": False,
            "states": {},
            "counted": _COUNTED,
            "holds": [],
            "more_holds": False,
            "messages": [],
        }
        try:
            held = await face.reads.holds(limit=_LAST + 1)
            shown |= {
                "states": await face.reads.states(_COUNTED),
                "holds": [self._hold(row) for row in held[:_LAST]],
                "more_holds": len(held) > _LAST,
                "messages": [self._message(row) for row in await face.reads.messages(limit=_LAST)],
            }
        except (StoreAway, TimeoutError):
            shown["away"] = True  # the page says so; the links and checks are worth seeing just then
        return self._show("status.html", 200, **shown)

    def _hold(self, row: Row) -> Document:
        """The kind of the key only: what follows it names a patient."""
        kind = str(row["key"]).partition(":")[0]
        since = iso(row["since"], self._face.zone)
        return {"id": row["id"], "kind": kind, "reason": row["reason"], "message": row["message"], "since": since}

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

    def _show(self, name: str, status: int, **values: object) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(**values), status)


@cache
def _style() -> bytes:
    return (files("ophl7.admin") / "templates" / "style.css").read_bytes()
