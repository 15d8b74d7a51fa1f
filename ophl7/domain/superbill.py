"""Claims and superbills, which are made in the PM only (#56): who sent one."""

from __future__ import annotations

from typing import Final, NamedTuple

from ophl7.hl7v2.message import Message

# Where a user stands: the operator, who performed the service, who ordered it.
_USUAL: Final = ("EVN-5", "FT1-20", "FT1-24")


class User(NamedTuple):
    """Who sent it. id, name: as far as they are there. place: where that stood, "" for nowhere."""

    id: str
    name: str
    place: str


UNKNOWN: Final = User("unknown", "", "")


def user_of(message: Message, user_field: str) -> User:
    """Who still has the form on; where nobody is named, the application. user_field: a profile's place, "" for none."""
    for place in ((user_field,) if user_field else ()) + _USUAL:
        whole = "." not in place
        number = message.text(f"{place}.1" if whole else place).strip()
        parts = [message.text(f"{place}.{at}").strip() for at in (2, 3)] if whole else []
        name = ", ".join(part for part in parts if part)
        if number or name:
            return User(number, name, place)
    application = message.text("MSH-3.1").strip()
    return User(application, "", "MSH-3") if application else UNKNOWN
