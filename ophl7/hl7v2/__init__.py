"""HL7 v2 as text and bytes: pure, no I/O, no knowledge of patients."""
