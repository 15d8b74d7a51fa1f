"""The rows of docs/reference/peer-behaviour.md as data: every peer behaviour and every deviation that must have a test."""

from __future__ import annotations

# decisions 8, row by row.
ANSWERS = (
    "AA/CA with our MSA-2",
    "AE/AR/CE + 206, or severity F",
    "AE/AR/CE + 207",
    "AE/AR + 204",
    "AE/AR + 205",
    "AE + 1xx, AR/CR + 200-203",
    "AE/AR without ERR",
    "any other refusal",
    "silence",
    "close",
    "garbage",
    "unframed",
    "silence with ON_TIMEOUT=review",
    "connection refused",
    "other MSA-2",
)

# What receivers and lines do besides.
MISDEEDS = (
    "late answer",
    "answer twice",
    "answers merged into one write",
    "answer split at every byte",
    "junk before the answer",
    "half-close",
    "close in the middle of an answer",
    "reset",
    "slow reader",
    "accepts connections and nothing else",
    "line cut after n bytes",
    "line stalls",
    "line that damages bytes",
    "clock jumps",
)

# domain 4: the table of deviations.
DEVIATIONS = (
    "fillers between frames",
    "other junk before VT",
    "FS without CR",
    "VT inside a frame",
    "LF as segment terminator",
    "missing final CR",
    "several messages in one frame",
    "pipelined frames",
    "ACK unframed, late or for an older message",
    "half-close after send",
    "new connection while the old one lingers",
    "connection per message",
    "frame in single bytes",
    "frame broken off",
    "message twice",
    "reset before the answer",
    "sender that does not read its answers",
)
