"""A practice's API, as a person at the desk asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.acceptance.practice import Practice

REASON = "looked at it"


@asynccontextmanager
async def asking(practice: Practice) -> AsyncIterator[httpx.AsyncClient]:
    """A client that holds the token. Paths begin below the API's prefix."""
    base, _, token = practice.broker.web_address.partition("?token=")
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"{base}api/v1", headers=headers, timeout=30.0) as client:
        yield client


async def get(practice: Practice, path: str, **query: str | int) -> httpx.Response:
    async with asking(practice) as client:
        return await client.get(path, params=query or None)


async def post(practice: Practice, path: str, **body: object) -> httpx.Response:
    async with asking(practice) as client:
        return await client.post(path, json=body)


async def replay(practice: Practice, control_id: str, **more: bool) -> httpx.Response:
    """Of the first message with that MSH-10."""
    number = practice.rows("SELECT min(id) AS id FROM journal WHERE control_id = ?", control_id)[0]["id"]
    return await post(practice, f"/messages/{number}/replay", reason=REASON, **more)
