"""The HTTP application: routes from the table of calls, health, metrics, the console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ophl7.admin.api import CALLS, PREFIX
from ophl7.admin.bodies import read_bytes, read_json
from ophl7.admin.book_pages import BookPages
from ophl7.admin.calls import Asked, Call, Deed, Inquiry, Listing, Single
from ophl7.admin.guard import Guard
from ophl7.admin.headers import SecureHeaders
from ophl7.admin.openapi import document
from ophl7.admin.pages import Pages
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Face
from ophl7.admin.problems import Problem, away, broken, problem, refused
from ophl7.errors import StoreAway

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(face: Face) -> Starlette:
    """The application for this face. Raises ValueError where the face has no token."""
    guard = Guard(face.token, explicit=face.token_is_explicit)
    pages = Pages(face, guard)
    description = document(face.version)

    async def healthz(_request: Request) -> Response:
        alive = face.alive()
        return JSONResponse({"alive": alive}, 200 if alive else 503)

    async def readyz(_request: Request) -> Response:
        status, checks = face.ready()
        return JSONResponse(checks, status)

    async def metrics(_request: Request) -> Response:
        text, content_type = face.exposition()
        return Response(text, headers={"Content-Type": content_type})

    async def openapi(request: Request) -> Response:
        guard.near(request)
        return JSONResponse(description)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
            Route("/", pages.status),
            Route("/schedule", pages.schedule),
            Route("/style.css", pages.style),
            Route("/books", BookPages(face, guard, pages.show).books),
            Route("/holds/{id}/{verb}", pages.decide, methods=["POST"]),
            *[_route(face, guard, call) for call in CALLS],
        ],
        middleware=[Middleware(SecureHeaders)],
        exception_handlers={
            Problem: problem,
            HTTPException: refused,
            StoreAway: away,
            TimeoutError: away,
            Exception: broken,
        },
    )


def _route(face: Face, guard: Guard, call: Call) -> Route:
    methods = ["POST"] if isinstance(call, Deed | Inquiry) else ["GET"]
    return Route(PREFIX + _in_routes(call.path), _endpoint(face, guard, call), methods=methods)


def _in_routes(path: str) -> str:
    """An identifier may hold a slash; no path goes on behind one."""
    return path.replace("{identifier}", "{identifier:path}")


def _endpoint(face: Face, guard: Guard, call: Call) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        actor = guard.admit(request)
        if isinstance(call, Listing):
            found = await call.answer(face, Query(request, call.known, face.zone))
            return JSONResponse({"items": found.items, "next": found.next})
        if isinstance(call, Inquiry):
            items = await call.answer(face, Query(request, call.known, face.zone), await read_bytes(request))
            return JSONResponse({"items": items, "next": None})
        query = Query(request, call.known if isinstance(call, Single) else (), face.zone)
        if isinstance(call, Deed):
            return JSONResponse(await call.answer(face, Asked(request, actor, query), await read_json(request, call.known)))
        answer = await call.answer(face, Asked(request, actor, query))
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return endpoint
