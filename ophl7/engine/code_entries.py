"""What a person says of a code, carried out inside a batch: the entry and all that waited for it, in the batch's one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ophl7.domain.coding import mapping_key
from ophl7.domain.patient import Side
from ophl7.domain.policy import Policy
from ophl7.engine.acts import NotDone
from ophl7.engine.code_rows import CodeEntry
from ophl7.engine.custody import Custody
from ophl7.engine.storage import AuditRow, Keys, MessageState
from ophl7.engine.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry in a table of a peer's profile, over what the profile says; to None takes a person's entry back.

    actor, reason: who and why, for the audit, never for a log. hold, message: the hold from which it was entered, 0 for none.
    """

    peer: Side
    table: str
    code: str
    to: str | None
    actor: str
    reason: str
    hold: int = 0
    message: int = 0


@dataclass(frozen=True, slots=True)
class Entered:
    """It is on disk. at: seconds since the epoch. released: how many messages left custody in the same commit.

    state: of the message whose hold it was, waits_for: keys of what that one waits for still; as for a message that waits for
    nothing where the entry was made from no hold.
    """

    at: float
    released: int
    state: MessageState = "accepted"
    waits_for: tuple[str, ...] = ()


class CodeEntries:
    """Carries out what people say of codes (#36, #42, #46)."""

    def __init__(self, custody: Custody, policy: Policy, now: Callable[[], datetime]) -> None:
        self._custody = custody
        self._policy = policy
        self._now = now

    async def carry_out(self, uow: UnitOfWork, entry: Entry) -> Entered | NotDone:
        """Makes or takes back the entry, or changes nothing. What fails in here is the caller's to undo.

        Copies that wait in the outbox stay as they were made: what an entry changes is what is decided from now on.
        """
        at = self._now().timestamp()
        place = (entry.peer, entry.table, entry.code)
        await uow.fetch(Keys(maps={place}, held={entry.message} if entry.message else set()))
        if entry.hold and all(row.id != entry.hold for row in uow.holds_of(entry.message)):
            return NotDone(still_open=False, reason="this hold does not wait any more")
        if entry.to is not None and entry.table not in self._policy.peers[entry.peer].profile.maps:
            reason = f"the profile of the {entry.peer.upper()} has no table {entry.table}; add it there, with its fields"
            return NotDone(still_open=True, reason=reason)
        if entry.to is None and uow.state.maps[place] is None:
            reason = "nobody has made this entry; what the profile itself says is changed in its file"
            return NotDone(still_open=True, reason=reason)
        uow.enter_code(CodeEntry(*place, entry.to, entry.actor, at, entry.reason))
        uow.rows.audit.append(AuditRow(at, entry.actor, *_audited(entry), entry.reason))
        if entry.to is None:
            return Entered(at, 0)
        released = await self._custody.release(uow, [mapping_key(entry.table, entry.code)], at)
        if not entry.hold:
            return Entered(at, released)
        waits_for = tuple(dict.fromkeys(row.key for row in uow.holds_of(entry.message)))
        updates = [update.state for update in uow.rows.updates if update.id == entry.message]
        return Entered(at, released, updates[-1] if updates and not waits_for else "held", waits_for)


def _audited(entry: Entry) -> tuple[str, str]:
    """Action and target, as the audit has them."""
    code = f"code {entry.code} of the table {entry.table} of the {entry.peer.upper()}"
    if entry.to is None:
        return "unmap-code", code
    of = f", hold {entry.hold} of message {entry.message}" if entry.hold else ""
    return "map-code", f"{code} to {entry.to}{of}"
