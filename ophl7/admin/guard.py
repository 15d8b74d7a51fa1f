"""Who is let in.

Without an explicit token only loopback gets more than health and metrics (contract 3); with or without, a token is needed.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from ipaddress import ip_address

from starlette.requests import Request

from ophl7.admin.problems import Problem

COOKIE = "ophl7_console"

# What a proxy in front of us adds. Behind one, everybody looks local.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Guard:
    """Tells whether a request may see more than health and metrics."""

    def __init__(self, token: str, *, explicit: bool) -> None:
        """explicit: whether a person has set the token. Raises ValueError for an empty one: it would let everybody in."""
        if not token:
            raise ValueError("the API token is empty")
        self._token = token.encode()
        self._explicit = explicit
        # A cookie of its own: whoever reads a browser's cookies has not read the token of the API's other users.
        self.cookie = hmac.digest(self._token, b"ophl7 console", sha256).hex()
        # Stands in the forms of our own pages: another site can make a browser send the cookie, but cannot read this.
        self.form = hmac.digest(self._token, b"ophl7 form", sha256).hex()

    def near(self, request: Request) -> None:
        """Raises Problem 403 where only loopback is let in and the caller is somewhere else."""
        if not self._explicit and not _is_loopback(request):
            raise Problem(403, "from another machine only health and metrics are shown until OPHL7_API_TOKEN is set")

    def admit(self, request: Request) -> str:
        """Who asks, as the audit names them. Raises Problem 401 or 403."""
        self.near(request)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.knows(given.strip()):
            return f"api {_address(request)}"
        # A cookie is sent by the browser on its own, so it opens only what changes nothing.
        if request.method in {"GET", "HEAD"} and _same(request.cookies.get(COOKIE, ""), self.cookie.encode()):
            return f"console {_address(request)}"
        raise Problem(
            401, "send the token: Authorization: Bearer TOKEN; it is OPHL7_API_TOKEN, or in the link printed at start"
        )

    def admit_form(self, request: Request, form: str) -> str:
        """Who sends a form of our own pages, as the audit names them. form: what the form carried. Raises Problem 401 or 403.

        The cookie alone proves nothing: it is sent along with whatever page makes the browser send a form here, be it one of
        another program at another port of this machine, which counts as the same site.
        """
        self.near(request)
        if not _same(request.cookies.get(COOKIE, ""), self.cookie.encode()):
            raise Problem(401, "this browser is not let in; open the link that the broker prints when it starts")
        if not (_is_own_page(request) and _same(form, self.form.encode())):
            raise Problem(
                403, "this form does not come from the status page as it is now; open the page anew and send the form again"
            )
        return f"console {_address(request)}"

    def knows(self, token: str) -> bool:
        """Whether this is the token, in constant time."""
        return _same(token, self._token)


def _same(given: str, wanted: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted)


def _is_own_page(request: Request) -> bool:
    """Whether the browser says that one of our own pages sends this (Fetch standard; browsers without either header are old).

    The scheme is not compared: behind a proxy that adds TLS we see http where the browser sees https.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    scheme, _, host = request.headers.get("origin", "").partition("://")
    return scheme in {"http", "https"} and host == request.headers.get("host", "")


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "unknown"


def _is_loopback(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
