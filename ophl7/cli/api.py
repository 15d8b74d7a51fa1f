"""The running broker's API, as the command line asks it: one short connection a call, with limits."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from ophl7.cli.access import Access
from ophl7.errors import LinkDown, RefusedByBroker

PREFIX: Final = "/api/v1"
MOST: Final = 500  # items of one page
_MOST_BYTES: Final = 64 * 1024 * 1024

Document = dict[str, Any]


class Api:
    """Asks one broker. Raises LinkDown when it does not answer, RefusedByBroker with its own sentence when it refuses."""

    def __init__(self, access: Access, patience: float) -> None:
        """patience: seconds to wait for each piece of an answer."""
        self._access = access
        self._patience = patience

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Document:
        """One document. path: below the prefix."""
        return self._ask("GET", self._target(path, query), None)

    def text(self, path: str, query: Mapping[str, str | int]) -> str:
        """A file, whole. path: below the prefix."""
        status, raw = self._exchange("GET", self._target(path, query), None, self._headers("*/*"))
        if status == http.client.OK:
            return raw.decode()
        raise self._refused(status, self._document(raw))

    def post(self, path: str, body: Document) -> Document:
        """Has something done; the answer."""
        return self._ask("POST", self._target(path, None), json.dumps(body).encode())

    def ask(self, path: str, query: Mapping[str, str | int], raw: bytes) -> Document:
        """What the broker says of these bytes."""
        return self._ask("POST", self._target(path, query), raw, "application/hl7-v2")

    def items(self, path: str, query: Mapping[str, str | int], limit: int) -> Document:
        """At most `limit` items of a list, out of as many pages as that takes: `{"items": [...], "next": cursor or null}`."""
        found: list[Document] = []
        asked = dict(query)
        while True:
            page = self.get(path, asked | {"limit": min(MOST, limit - len(found))})
            if not isinstance(page.get("items"), list) or "next" not in page:
                raise self._no_ophl7()
            found += page["items"]
            if page["next"] is None or len(found) >= limit:
                return {"items": found, "next": page["next"]}
            asked["cursor"] = page["next"]

    def _target(self, path: str, query: Mapping[str, str | int] | None) -> str:
        return quote(self._access.place.path) + PREFIX + path + (f"?{urlencode(query)}" if query else "")

    def _headers(self, accept: str) -> dict[str, str]:
        token = self._access.token
        return {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token is not None else {})

    def _ask(self, method: str, target: str, body: bytes | None, content: str = "application/json") -> Document:
        headers = self._headers("application/json")
        if body is not None:
            headers["Content-Type"] = content
        status, raw = self._exchange(method, target, body, headers)
        document = self._document(raw)
        if status == http.client.OK:
            return document
        raise self._refused(status, document)

    def _refused(self, status: int, document: Document) -> RefusedByBroker:
        access = self._access
        said = str(document.get("detail") or f"it answered {status}")
        if status == http.client.UNAUTHORIZED:
            said = f"the broker at {access.place} does not take this token. It came from: {access.origin}"
            if access.token is None:
                said = f"the broker at {access.place} wants a token, and {access.origin}; give one with --token-file"
        return RefusedByBroker(said, status)

    def _document(self, raw: bytes) -> Document:
        try:
            document = json.loads(raw)
        except ValueError as error:
            raise self._no_ophl7() from error
        if not isinstance(document, dict):
            raise self._no_ophl7()
        return document

    def _exchange(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        place = self._access.place
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        connection = kind(place.host, place.port, timeout=self._patience)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            raw = answer.read(_MOST_BYTES + 1)
        except TimeoutError as error:
            raise LinkDown("timeout", f"nothing answers at {place} within {self._patience:g} s") from error
        except OSError as error:
            raise LinkDown("unreachable", f"no broker at {place} ({error.strerror or error}); is it running?") from error
        except (http.client.HTTPException, ValueError) as error:
            raise self._no_ophl7() from error
        finally:
            connection.close()
        if len(raw) > _MOST_BYTES:
            raise self._no_ophl7()
        return answer.status, raw

    def _no_ophl7(self) -> LinkDown:
        return LinkDown("garbage", f"what answers at {self._access.place} is no ophl7")
