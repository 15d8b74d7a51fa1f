"""Audit rows on their way into the database, each chained to the one before (engine.chain)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from ophl7.engine.chain import BEGIN, Head, chained, read_head
from ophl7.engine.storage import AuditRow


def begin_chain(connection: sqlite3.Connection, sql: Mapping[str, str]) -> None:
    """Once in a database's life: what was written before there was a chain is taken into it as it stands now."""
    if connection.execute(sql["audit_head"]).fetchone() is not None:
        return
    rows = connection.execute(sql["audit_rows"]).fetchall()
    connection.execute("BEGIN IMMEDIATE")
    try:
        head = BEGIN
        renumbered: list[tuple[int, bytes | None, int]] = []
        if any(digest is not None for *_, digest in rows):  # a chain whose head somebody took away stays a broken one
            head, rows = Head(rows[-1][0], bytes(32)), []
        for (old, *_), link in zip(rows, chained(head, [row[1:6] for row in rows]), strict=True):
            renumbered.append((link.id, link.digest, old))
            head = head._replace(id=link.id, digest=link.digest or b"")
        connection.executemany(sql["chain_audit"], renumbered)  # ascending, and never upwards: no two meet
        connection.execute(sql["keep_audit_head"], (str(head),))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def add_to_chain(connection: sqlite3.Connection, sql: Mapping[str, str], rows: Sequence[AuditRow]) -> None:
    """Inside the commit's transaction. The head is read there, too: a commit that failed has moved nothing."""
    (text,) = connection.execute(sql["audit_head"]).fetchone()
    links = list(chained(read_head(text), [(row.at, row.actor, row.action, row.target, row.reason) for row in rows]))
    connection.executemany(sql["insert_audit"], links)
    connection.execute(sql["keep_audit_head"], (f"{links[-1].id} {(links[-1].digest or b'').hex()}",))
