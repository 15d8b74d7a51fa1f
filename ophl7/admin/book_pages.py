"""The page for billers: a day in counts and amounts, what is current, who still sends superbills. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from ophl7.admin.calls import Page
from ophl7.admin.current import current_charges
from ophl7.admin.guard import Guard
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem
from ophl7.admin.reconciliation import day_report, today
from ophl7.admin.superbills import superbills
from ophl7.admin.wording import PEERS
from ophl7.domain.reconciliation import STANDINGS
from ophl7.errors import StoreAway

_WORDS = {
    "accepted": "the PM has them",
    "held": "wait for somebody or something",
    "rejected": "refused; the EMR was told",
    "parked": "refused by the PM; somebody must act",
    "pending": "on their way to the PM",
    "cancelled": "discarded by a person",
    "skipped": "left out by a person",
}

Show = Callable[..., Response]


class BookPages:
    """The pages of one face. show: renders a template by its name, with a status and values."""

    def __init__(self, face: Face, guard: Guard, show: Show) -> None:
        self._face = face
        self._guard = guard
        self._show = show

    async def books(self, request: Request) -> Response:
        """`/books`: `?date=2026-11-23`, today if not said; `?cursor=` goes on in what is current."""
        face = self._face
        try:
            self._guard.admit(request)
            query = Query(request, ("date", "cursor", "limit"), face.zone)
            day = query.day("date") or today(face)
            report = await day_report(face, day)
            current = await current_charges(face, query)
            users = await superbills(face, query)
        except Problem as closed:
            return self._show("closed.html", closed.status, reason=closed.detail)
        except (StoreAway, TimeoutError):
            return self._show("closed.html", 503, reason="The database cannot be read just now; try again in a moment.")
        return self._show(
            "books.html",
            200,
            report=report,
            standings=[{"name": name, "words": _WORDS[name], **report[name]} for name in STANDINGS],
            before=(day - timedelta(days=1)).isoformat() if day.year > 1 else None,
            after=(day + timedelta(days=1)).isoformat() if day < today(face) else None,
            current=_by_age(current),
            more=current.next,
            users=users.items,
            peers=PEERS,
        )


def _by_age(page: Page) -> list[Document]:
    """The oldest first: that is what billing should look at."""
    return sorted(page.items, key=lambda one: (one["oldest"] or "", one["patient"] or ""))
