"""Any message: what its header, its frame, its age and a fault of our own decide (decisions 7)."""

from __future__ import annotations

from ophl7.domain.rows.row import DecisionRow

ROWS = (
    DecisionRow(
        "#80", "messages", "any", "an unknown message type or event",
        pm="refused; on the peer's ignore list: kept without effect", emr="the same", ack="AR",
        plain="This kind of message is not used here: it was refused, or put aside where the practice has said so.",
    ),
    DecisionRow(
        "#81", "messages", "any", "a processing id (MSH-11) that is not wanted",
        pm="refused; blank counts as production, with a warning", emr="the same", ack="AR",
        plain="The message was not marked as one of real work: a test message was refused, and one without a mark was taken.",
    ),
    DecisionRow(
        "#82", "messages", "any", "a version (MSH-12) other than 2.1 to 2.9",
        pm="refused; blank counts as 2.3", emr="the same", ack="AR",
        plain="The message was written in a version that nobody here understands, so it was refused.",
    ),
    DecisionRow(
        "#83", "messages", "any", "names (MSH-3 to MSH-6) that are not this link's",
        pm="taken with a warning; refused where the profile is strict", emr="the same", ack="AA / AR",
        plain="The message bore the name of another system than this link's; it is refused only where the practice is strict.",
    ),
    DecisionRow(
        "#84", "messages", "any", "the same message again, taken before",
        pm="the first answer again, no effect", emr="the same", ack="as the first",
        plain="The same message had come before; it got the same answer and has changed nothing.",
    ),
    DecisionRow(
        "#84b", "messages", "any", "the same message again, refused before",
        pm="judged again, counted once", emr="the same", ack="as decided",
        plain="The same message had been refused before and was judged again.",
    ),
    DecisionRow(
        "#85", "messages", "any", "a control id (MSH-10) that was used for another message",
        pm="a new message, with a warning", emr="the same", ack="AA W04",
        plain="The sender used a message number twice; it was taken as a new message.",
    ),
    DecisionRow(
        "#86", "messages", "any", "no control id, or one that says nothing",
        pm="a copy only if it is the last of its patient again", emr="the same", ack="as decided",
        plain="The sender's message numbers say nothing; this was the same as the patient's last message and has "
        "changed nothing.",
    ),
    DecisionRow(
        "#87", "messages", "any", "older than what the same sender said last of the same thing",
        pm="kept and listed, not applied; a person can", emr="the same", ack="AA",
        plain="The message was older than what was taken before, so it was kept and not applied.",
    ),
    DecisionRow(
        "#88", "messages", "any", "charges, merges, what a hold released, equal or inexact times",
        pm="never too old", emr="the same", ack="AA",
        plain="The message is of a kind that is never too old, so its time was not compared.",
    ),
    DecisionRow(
        "#89", "messages", "any", "more than ten minutes in the future",
        pm="taken, and counts as from now", emr="the same", ack="AA W",
        plain="The sender's clock was ahead; the message was taken as one of now.",
    ),
    DecisionRow(
        "#90", "messages", "any", "what is no readable message",
        pm="put aside and refused", emr="the same", ack="AR",
        plain="What came could not be read; it was put aside and refused.",
    ),
    DecisionRow(
        "#90b", "messages", "any", "a damaged frame",
        pm="put aside; refused, or unanswered when the next one cut it off", emr="the same", ack="AR / -",
        plain="What came was cut off or damaged on the way; it was put aside.",
    ),
    DecisionRow(
        "#91", "messages", "any", "too big",
        pm="its beginning is put aside, refused, the line is closed", emr="the same", ack="AR",
        plain="The message was bigger than allowed; its beginning was put aside and it was refused.",
    ),
    DecisionRow(
        "#92", "messages", "any", "unknown segments, and those of the sender's own",
        pm="passed on untouched", emr="the same", ack="AA",
        plain="What the sender added of its own went on untouched.",
    ),
    DecisionRow(
        "#93", "messages", "any", "an acknowledgment",
        pm="kept, never answered", emr="the same", ack="-",
        plain="An answer came where messages are expected; it was put aside.",
    ),
    DecisionRow(
        "#94", "messages", "any", "the database is away, the disk is full, or the broker is stopping",
        pm="no answer, the line is closed: it comes again", emr="the same", ack="-",
        plain="The broker could not keep the message safe, so it gave no answer and the sender sends it again.",
    ),
    DecisionRow(
        "#95", "messages", "any", "a handler or rule fails or takes too long",
        pm="waits, with an alarm; five patients in a row close that listener", emr="the same", ack="AA",
        plain="A part of the broker failed on this message, so it was kept until that part is mended.",
    ),
    DecisionRow(
        "batch", "messages", "any", "many messages in one frame",
        pm="each judged alone, all kept together, answered in one frame", emr="the same", ack="as decided",
        plain="The message came together with others in one parcel, and something was said about the parcel.",
    ),
)  # fmt: skip
