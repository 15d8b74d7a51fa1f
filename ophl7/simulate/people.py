"""The children of a practice's day, all invented. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from ophl7.simulate.chance import Chance

MARK: Final = "DEMO-"  # every family name begins with it: nobody is taken for a real child

_FAMILIES: Final = (
    *("ALDER", "BIRCH", "CEDAR", "DOGWOOD", "ELM", "FIR", "GINKGO", "HAZEL", "IVY", "JUNIPER", "KAPOK", "LARCH", "MAPLE"),
    *("NEEM", "OAK", "PINE", "QUINCE", "ROWAN", "SPRUCE", "TEAK", "UTILE", "VIBURNUM", "WILLOW", "YEW", "ZELKOVA"),
)
_GIRLS: Final = ("ADA", "BEA", "CORA", "DORA", "EDDA", "FAYE", "GRETA", "HOPE", "INA", "JUNE", "KAIA", "LENA", "MAE", "ZOË")
_BOYS: Final = ("ABEL", "BEN", "CARL", "DEAN", "EZRA", "FINN", "GUS", "HUGO", "IAN", "JON", "KURT", "LEO", "MAX", "NED")
_STREETS: Final = ("SAMPLE ST", "EXAMPLE AVE", "INVENTED LN", "MADE-UP RD", "NOWHERE DR")

FIRST_DAY: Final = date(2020, 1, 1)
MOST_PEOPLE: Final = 400  # a day; with their second charts and their families, numbers stay below 1000


@dataclass(frozen=True, slots=True)
class Child:
    """Somebody with a chart. id: the chart number at the system that owns patients; fields as they stand in PID."""

    number: int
    id: str
    family: str
    given: str
    birth: str
    sex: str
    street: str
    phone: str

    @property
    def name(self) -> str:
        """For people: `Ada DEMO-ALDER`."""
        return f"{self.given.title()} {self.family}"

    @property
    def xpn(self) -> str:
        """PID-5."""
        return f"{self.family}^{self.given}"

    @property
    def address(self) -> str:
        """PID-11."""
        return f"{self.street}^^SPRINGFIELD^NY^12345"


class Households:
    """Makes the day's children. The same seed and date make the same ones."""

    def __init__(self, seed: int, day: date) -> None:
        """Raises ValueError for a seed below 0 or a day before 2020: chart numbers are made of both."""
        days = (day - FIRST_DAY).days
        if seed < 0 or days < 0:
            raise ValueError("the seed may not be below 0, and the day not before 2020")
        self._day = day
        self._prefix = f"{days:04d}{seed:02d}"
        self._chance = Chance(seed, day.isoformat(), "people")

    @property
    def prefix(self) -> str:
        """What all numbers of this day and seed begin with; nobody of another day or seed has it."""
        return self._prefix

    def chart(self, number: int) -> str:
        """A chart number."""
        return f"{self._prefix}{number:03d}"

    def child(self, number: int) -> Child:
        """A child of its own family."""
        sex = self._chance.one("FM", number, "sex")
        return Child(
            number,
            self.chart(number),
            MARK + self._in_turn(_FAMILIES, number),
            self._given(number, sex),
            self._birth(365 + self._chance.number(16 * 365, number, "age")),
            sex,
            self._street(number),
            self._phone(number),
        )

    def newborn(self, number: int) -> Child:
        """Some days old and still without a name of its own."""
        child = self.child(number)
        given = "BABYGIRL" if child.sex == "F" else "BABYBOY"
        return replace(child, given=given, birth=self._birth(3 + self._chance.number(5, number, "days")))

    def twin(self, other: Child, number: int) -> Child:
        """Born on the same day, same family, home and telephone: only the given name tells them apart."""
        return replace(other, number=number, id=self.chart(number), given=f"{other.given} B")

    def sibling(self, other: Child, number: int) -> Child:
        """Same family, home and telephone, another birthday."""
        child = self.child(number)
        return replace(child, family=other.family, street=other.street, phone=other.phone)

    def double(self, other: Child, number: int) -> Child:
        """The same child under a second chart number, as a desk registers it by mistake."""
        return replace(other, number=number, id=self.chart(number))

    def named(self, child: Child) -> Child:
        """A newborn who got a name."""
        return replace(child, given=self._given(child.number, child.sex))

    def moved(self, child: Child) -> Child:
        """The same child at another address, with another telephone."""
        return replace(child, street=self._street(child.number, "new"), phone=self._phone(child.number, "new"))

    def _given(self, number: int, sex: str) -> str:
        return self._in_turn(_GIRLS if sex == "F" else _BOYS, number)

    def _in_turn(self, names: Sequence[str], number: int) -> str:
        """Neighbours never share a name: twins who got the same one would be one child registered twice."""
        return names[(self._chance.number(len(names), "names") + number) % len(names)]

    def _street(self, number: int, *about: object) -> str:
        house = 1 + self._chance.number(98, number, "house", *about)
        return f"{house + (99 if about else 0)} {self._chance.one(_STREETS, number, 'street', *about)}"

    def _phone(self, number: int, *about: object) -> str:
        # 555-0100 to 555-0199 are kept free for fiction; a new number is one of the upper half.
        half = 50 if about else 0
        return f"^PRN^PH^^1^555^01{half + self._chance.number(50, number, 'phone', *about):02d}"

    def _birth(self, days_old: int) -> str:
        return (self._day - timedelta(days=days_old)).strftime("%Y%m%d")
