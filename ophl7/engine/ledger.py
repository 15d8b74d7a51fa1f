"""Charges outside of the usual way: of a DFT that is held, refused, sent again, or released (decisions 5, P8).

Money is never dropped, and never counted twice: each FT1 has one row that counts, whatever became of its message.
"""

from __future__ import annotations

from ophl7.domain.changes import AddCharge
from ophl7.domain.charge import ChargeState
from ophl7.domain.charge_reading import read_charges
from ophl7.domain.profile import ChargeRules
from ophl7.engine.effects import new_charge
from ophl7.engine.ruling import Ruling
from ophl7.engine.storage import ChargeUpdate
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.hl7v2.message import Message


def report_charges(
    uow: UnitOfWork, message: Message, number: int, subject: int, state: ChargeState, rules: ChargeRules, *, weak: bool
) -> None:
    """The charges of a DFT that is held or refused stand in the ledger too (P8, #43). number: its journal id.

    rules, weak: of its sender, see read_charges.
    """
    for place, line in enumerate(read_charges(message, rules, weak=weak)):
        uow.add_charge(new_charge(uow, number, place, subject, line, state))


def move_charges(uow: UnitOfWork, message: Message, number: int, subject: int, state: ChargeState) -> None:
    """What an earlier journal entry of this DFT put into the ledger goes on to another state, under another subject."""
    for line in range(len(message.all("FT1"))):
        uow.rows.charge_updates.append(ChargeUpdate(number, line, state, subject, None))


def settle_held_charges(uow: UnitOfWork, message: Message, number: int, subject: int, ruling: Ruling) -> None:
    """The rest of a release: what the effects did not send moves on.

    Still held: found under the patient who is known by now. Known already (#48): counted there. Ignored on the practice's wish
    (#80): cancelled.
    """
    if ruling.state == "held":
        move_charges(uow, message, number, subject, "held")
    elif ruling.ignored is not None:
        move_charges(uow, message, number, subject, "cancelled" if ruling.ignored.row == "#80" else "superseded")
    else:
        uow.rows.charge_updates += [
            ChargeUpdate(number, judged.change.number, "superseded", subject, None)
            for judged in ruling.judged
            if isinstance(judged.change, AddCharge) and not judged.applies
        ]
