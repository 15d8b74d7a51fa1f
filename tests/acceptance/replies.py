"""Our answers, read in the plainest way: a second opinion on `ophl7.hl7v2.ack`."""

from __future__ import annotations

from dataclasses import dataclass

VERSIONS = ("2.3.1", "2.5.1")


@dataclass(frozen=True, slots=True)
class Fault:
    """One ERR. code: table 0357. ours: the application code, of 2.5 and later only. place: segment, sequence, field."""

    code: int
    severity: str
    ours: str
    place: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """One ACK. code: MSA-1; control_id: MSA-2; text: MSA-3."""

    raw: bytes
    version: str
    code: str
    control_id: str
    text: str
    faults: tuple[Fault, ...]

    @property
    def warnings(self) -> list[str]:
        """The application codes of severity W."""
        return [fault.ours for fault in self.faults if fault.severity == "W"]


def read_reply(raw: bytes) -> Reply:
    """Raises AssertionError for what is no ACK. It may be written with other separators than ours: those of MSH are turned."""
    text = raw.decode()
    assert text[:3] == "MSH", raw
    marks = text[3:].partition("\r")[0].split(text[3], 2)[1]  # MSH-2 may be shorter than usual
    turned = str.maketrans((text[3] + marks)[:5], "|^~\\&"[: 1 + len(marks[:4])])
    lines = [line.translate(turned).split("|") for line in text.split("\r") if line]
    header, msa = lines[0], lines[1]
    assert header[8].split("^")[0] == "ACK", raw
    assert msa[0] == "MSA", raw
    version = header[11].split("^")[0]
    read = _new if version >= "2.5" else _old
    errors = [fault for line in lines[2:] for fault in read(line)]
    if version < "2.3":  # no ERR segment: the error condition is MSA-6
        assert lines[2:] == [], raw
        errors = [Fault(int(msa[6].split("^")[0]), "E", "", ())] if len(msa) > 6 else []
    assert all(line[0] == "ERR" for line in lines[2:]), raw
    return Reply(raw, version, msa[1], msa[2], msa[3] if len(msa) > 3 else "", tuple(errors))


def _old(line: list[str]) -> list[Fault]:
    """ERR-1 before 2.5: segment^sequence^field^code&text&table, repeating."""
    faults = []
    for repetition in line[1].split("~"):
        *place, coded = repetition.split("^")
        number, *table = coded.split("&")
        assert table[1:] in (["HL70357"], []), "a message without a subcomponent separator gets the number alone"
        faults.append(Fault(int(number), "E", "", tuple(place)))
    return faults


def _new(line: list[str]) -> list[Fault]:
    """ERR-2 to ERR-5 of 2.5 and later."""
    fields = [*line, "", "", "", ""]
    number, _, table = fields[3].split("^")
    assert table == "HL70357"
    ours = fields[5].split("^")
    assert ours == [""] or ours[2] == "OPHL7"
    return [Fault(int(number), fields[4], ours[0], tuple(fields[2].split("^")))]


def assert_refused(reply: Reply, code: str, ours: str, error: int | tuple[int, ...]) -> None:
    """MSA-1, the first error's number, and our code: in ERR-5 from 2.5 on, and always in the text (decisions 10)."""
    assert reply.code == code, reply.raw
    assert reply.faults, reply.raw
    first = reply.faults[0]
    assert first.code in ((error,) if isinstance(error, int) else error), reply.raw
    assert first.severity == "E"
    if reply.version >= "2.5":
        assert first.ours == ours
    if ours:
        assert ours in reply.text
