"""Errors as RFC 9457 problem documents. No text here quotes what the caller asked for: it may be a patient's id."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ophl7.admin.headers import HEADERS
from ophl7.errors import Ophl7Error, StoreAway


class Problem(Exception):
    """Raised to answer with a problem document. more: further members of the document."""

    def __init__(self, status: int, detail: str, **more: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.more = more

    def response(self) -> Response:
        """`application/problem+json`; a 401 says which scheme is wanted (RFC 9110, 11.6.1)."""
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        headers = {"WWW-Authenticate": 'Bearer realm="ophl7"'} if self.status == HTTPStatus.UNAUTHORIZED else None
        return JSONResponse(document, self.status, headers, "application/problem+json")


def bad_parameter(name: str, wanted: str) -> Problem:
    """400, naming the parameter and what it takes, never what was given."""
    return Problem(400, f"{name}: {wanted}", parameter=name)


def not_found(what: str) -> Problem:
    """404: `what` as in "no message has this number"."""
    return Problem(404, what)


async def problem(_request: Request, error: Exception) -> Response:
    """For Problem."""
    return error.response() if isinstance(error, Problem) else _broken(error)


async def refused(_request: Request, error: Exception) -> Response:
    """For what the framework refuses: an unknown path, a method that a path does not know."""
    if not isinstance(error, HTTPException):
        return _broken(error)
    details = {
        404: "there is nothing at this path; /openapi.json lists what there is",
        405: "this path does not take this method",
    }
    answer = Problem(error.status_code, details.get(error.status_code, HTTPStatus(error.status_code).description)).response()
    answer.headers.update(error.headers or {})
    return answer


async def away(_request: Request, error: Exception) -> Response:
    """For StoreAway and TimeoutError: the database is away, or too slow."""
    if isinstance(error, StoreAway):
        return Problem(503, "the database cannot be used just now; /readyz says why", code=error.code).response()
    detail = "reading this takes too long; narrow it down, e.g. by patient or control_id, or ask for less at a time"
    return Problem(503, detail).response()


async def broken(_request: Request, error: Exception) -> Response:
    """For our own faults: the server's log has the place, the caller gets a code. Stands outside of SecureHeaders."""
    answer = _broken(error)
    answer.headers.update(HEADERS)
    return answer


def _broken(error: Exception) -> Response:
    code = error.code if isinstance(error, Ophl7Error) else Ophl7Error.code
    return Problem(500, "something in ophl7 went wrong; the log says where", code=code).response()
