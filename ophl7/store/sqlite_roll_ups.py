"""What a roll-up is decided on, read in the batch that writes it."""

from __future__ import annotations

import sqlite3

from ophl7.engine.roll_ups import Entry
from ophl7.engine.storage import Keys, State
from ophl7.store.rows import roll_up_from
from ophl7.store.statements import padded, statements, with_keys


def load_roll_ups(connection: sqlite3.Connection, keys: Keys, state: State) -> None:
    """Fills `entries`, `roll_ups` and `last_roll_up`: what was asked for and does not exist is None."""
    if keys.entries:
        state.entries.update(dict.fromkeys(keys.entries))
        chunk = padded(sorted(keys.entries))  # a request holds 16 KiB: that many ids fit into one statement
        for row in connection.execute(with_keys("sqlite", "entries", len(chunk), file="books"), chunk):
            state.entries[row[0]] = Entry(*row)
        state.last_roll_up = connection.execute(statements("sqlite", "books")["last_roll_up"]).fetchone()[0]
    if keys.roll_ups:
        state.roll_ups.update(dict.fromkeys(keys.roll_ups))
        chunk = padded(sorted(keys.roll_ups))
        for row in connection.execute(with_keys("sqlite", "noted", len(chunk), file="books"), chunk):
            state.roll_ups[row[0]] = roll_up_from(row)
