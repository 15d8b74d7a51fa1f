"""What came over a wire, made fit for a terminal."""

from __future__ import annotations


def visible(text: str) -> str:
    """`text` on one line, without anything that could steer a terminal: what cannot be printed becomes U+FFFD."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
