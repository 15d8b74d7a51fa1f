"""Paths into messages."""

from __future__ import annotations

import pytest

from ophl7.errors import AuthorError
from ophl7.hl7v2.paths import FieldPath, MessagePath, field_path, message_path


def test_what_is_not_written_is_the_first_or_not_asked_for() -> None:
    assert message_path("PID-3") == MessagePath("PID", 1, FieldPath(3, 1, 0, 0))
    assert message_path("OBX[2]-5[3].4.1") == MessagePath("OBX", 2, FieldPath(5, 3, 4, 1))
    assert field_path("3[2].4") == FieldPath(3, 2, 4, 0)


@pytest.mark.parametrize(
    "path", ["", "PID", "PID.3", "pid-3", "PID-", "PID-3.", "PID-0", "PID-3[0]", "PID[0]-3", "PID-3.0", "PID-3.1.2.3"]
)
def test_a_path_that_is_none_names_itself(path: str) -> None:
    with pytest.raises(AuthorError, match="no HL7 path"):
        message_path(path)


@pytest.mark.parametrize("path", ["", "PID-3", "0", "3.0", "3[0]", "3-1"])
def test_the_same_inside_a_segment(path: str) -> None:
    with pytest.raises(AuthorError, match="no path inside a segment"):
        field_path(path)
