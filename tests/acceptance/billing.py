"""What tests of charges share: a practice in which two patients are known, profiles in a file, and FT1 read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.messages import OSCAR, RUTH, adt, segments
from tests.acceptance.practice import Opening, Practice, Row


async def registered(opened: Opening, setup: str, **more: str) -> Practice:
    """A practice in which Ruth and Oscar are known."""
    practice = await opened(setup, **more)
    people = [adt(f"REG{who.id}", "A28", who, sender=practice.patients) for who in (RUTH, OSCAR)]
    await practice.accepted(practice.patients, *people)
    return practice


def profile(folder: Path, side: str, charges: str, more: str = "") -> dict[str, str]:
    """The setting that names a profile with these lines under [charges]."""
    file = folder / f"{side}.toml"
    file.write_text(f"[charges]\n{charges}\n{more}\n", encoding="utf-8")
    return {f"{side.upper()}_PROFILE": str(file)}


def charges_sent(practice: Practice) -> list[bytes]:
    """The DFT that the PM has received, in order, each try once."""
    return list(dict.fromkeys(payload for payload in practice.desk["pm"].payloads if b"|DFT^P" in payload))


def lines_sent(practice: Practice, *fields: int) -> list[tuple[str, ...]]:
    """These fields of every FT1 that the PM has received, in order."""
    found = []
    for payload in charges_sent(practice):
        for line in segments(payload, b"FT1"):
            parts = [*line.decode().split("|"), *[""] * 40]
            found.append(tuple(parts[number] for number in fields))
    return found


def ledger(practice: Practice) -> list[Row]:
    """The ledger's rows, in order."""
    return practice.rows("SELECT * FROM charge ORDER BY id")


async def decide(practice: Practice, verb: str, control_id: str, key: str) -> dict[str, Any]:
    """A person releases or discards that message's hold whose key begins so."""
    number = practice.journal(control_id)["id"]
    (row,) = practice.rows("SELECT id FROM hold WHERE message = ? AND key LIKE ? AND closed_at IS NULL", number, f"{key}%")
    return await _ask(practice, f"/holds/{row['id']}/{verb}")


async def settle(practice: Practice, delivery: int, verb: str) -> dict[str, Any]:
    """A person closes or skips a copy."""
    return await _ask(practice, f"/deliveries/{delivery}/{verb}")


async def _ask(practice: Practice, path: str) -> dict[str, Any]:
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=f"{base}/api/v1", trust_env=False) as client:
        headers = {"Authorization": f"Bearer {practice.broker.token}"}
        answer = await client.post(path, json={"reason": "the biller was asked"}, headers=headers)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document
