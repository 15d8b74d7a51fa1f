"""Which words mean which status: a product's own codes over the generic ones (contract 3, decisions 4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ophl7.domain.appointment import STATUS_CODES, Status


def meaning(words: Mapping[str, Status], code: str, text: str) -> Status | None:
    """The status that a code, or else its text, stands for; None when neither is among `words`."""
    for word in (code, text):
        if word:
            found = words.get(word.strip().casefold()) or words.get(_letters(word))
            if found is not None:
                return found
    return None


def status_words(codes: Mapping[str, Status], *, generic: bool) -> Mapping[str, Status]:
    """What `meaning` looks words up in: `codes` as written and with blanks and dashes left out, over the generic ones.

    Raises ValueError for a code that stands there twice, in two cases, with two meanings.
    """
    exact: dict[str, Status] = {}
    loose: dict[str, set[Status]] = {}
    for code, status in codes.items():
        word = code.strip().casefold()
        if not word:
            raise ValueError("status_codes: an empty code says nothing")
        if exact.setdefault(word, status) != status:
            raise ValueError(f"status_codes: {code!r} stands there twice; case does not tell codes apart")
        loose.setdefault(_letters(code), set()).add(status)
    words: dict[str, Status] = dict(STATUS_CODES) if generic else {}
    # `C+` and `C-` are two codes of one letter: then only what is written exactly so counts.
    words |= {word: status for word, (status, *others) in loose.items() if word and not others}
    return MappingProxyType(words | exact)


def _letters(word: str) -> str:
    return "".join(ch for ch in word.casefold() if ch.isalnum())


GENERIC_WORDS = status_words({}, generic=True)
