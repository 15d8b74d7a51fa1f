"""MLLP: framing (pure), the sessions and listeners that receive, the sender that delivers."""
