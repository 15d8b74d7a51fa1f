"""Asks a running broker's API what it holds (contract 6), for a comparison with what the simulators remember."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote, urlencode

from ophl7.errors import LinkDown
from ophl7.simulate.comparing import Held, wanted_patients
from ophl7.simulate.truth import Document

_PAGE = 500
_SECONDS = 10.0


class Asker:
    """The API of one broker. Every question is a connection of its own, in a thread: asking is no part of the road."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host = host
        self._port = port
        self._token = token

    async def held(self, documents: Sequence[Document]) -> Held:
        """Everything that `comparing.differences` looks at. Raises LinkDown when the broker cannot be asked."""
        return await asyncio.to_thread(self._held, documents)

    async def items(self, path: str, **query: str) -> list[Document]:
        """All pages of one list. Raises LinkDown."""
        return await asyncio.to_thread(self._items, path, **query)

    def _held(self, documents: Sequence[Document]) -> Held:
        patients = {key: self._one(f"/patients/{quote(key)}") for key in wanted_patients(documents)}
        return Held(patients, self._items("/appointments"), self._items("/charges"), self._items_or_none("/merges"))

    def _items_or_none(self, path: str) -> list[Document] | None:
        return None if self._one(f"{path}?limit=1") is None else self._items(path)

    def _items(self, path: str, **query: str) -> list[Document]:
        found: list[Document] = []
        cursor = ""
        while True:
            asked = {**query, "limit": str(_PAGE)} | ({"cursor": cursor} if cursor else {})
            page = self._one(f"{path}?{urlencode(asked)}")
            if page is None:
                raise LinkDown("garbage", f"this broker has no list {path}")
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = page["next"]

    def _one(self, path: str) -> Document | None:
        """The document, or None for 404."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS)
        try:
            connection.request("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            document = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise LinkDown("unreachable", f"the API at {self._host}:{self._port} does not answer as it should") from error
        finally:
            connection.close()
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK or not isinstance(document, dict):
            raise LinkDown("garbage", f"the API at {self._host}:{self._port} answered {answer.status}")
        return document
