"""Acknowledgments, built in the plainest way and not by `ophl7.hl7v2`: so a test has a second opinion. Pure."""

from __future__ import annotations


def acknowledgment(
    payload: bytes, code: str = "AA", *, control_id: bytes | None = None, error: int = 0, severity: str = "E"
) -> bytes:
    """An ACK for `payload`. code: MSA-1. control_id: MSA-2, by default the message's. error: table 0357, 0 for no ERR."""
    msh = header_of(payload)
    bar, version = msh[0][3:4] or b"|", msh[11] or b"2.3"
    answered = msh[9] if control_id is None else control_id
    header = (b"MSH", msh[1], msh[4], msh[5], msh[2], msh[3], b"20260101120000", b"", b"ACK", b"A" + answered, b"P", version)
    lines = [bar.join(header), bar.join((b"MSA", code.encode(), answered))]
    if error:
        # The code moved from ERR-1 to ERR-3 in version 2.5 (HL7 v2.5 chapter 2.15.5).
        old = version.split(b"^")[0] < b"2.5"
        fields = (b"ERR", b"^^^%d" % error) if old else (b"ERR", b"", b"", b"%d" % error, severity.encode())
        lines.append(bar.join(fields))
    return b"".join(line + b"\r" for line in lines)


def header_of(payload: bytes) -> list[bytes]:
    """MSH split at its separator, at least 12 long: index n is MSH-(n+1), index 0 `MSH` and the separator's place."""
    line = payload.replace(b"\n", b"\r").split(b"\r", 1)[0]
    bar = line[3:4] or b"|"
    fields = line.split(bar)
    return [fields[0] + bar, *fields[1:], *[b""] * (12 - len(fields))]


def control_id_of(payload: bytes) -> bytes:
    """MSH-10 as sent."""
    return header_of(payload)[9]


def answered_by(answer: bytes) -> tuple[str, bytes]:
    """MSA-1 and MSA-2 of an answer; empty where it has no MSA."""
    for line in answer.replace(b"\n", b"\r").split(b"\r"):
        if line.startswith(b"MSA"):
            fields = [*line.split(line[3:4] or b"|"), b"", b""]
            return fields[1].decode("ascii", "replace"), fields[2]
    return "", b""
