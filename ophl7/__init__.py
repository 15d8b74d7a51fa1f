"""ophl7: an asyncio HL7 v2 broker between a practice's PM and its EMR."""

__version__ = "0.1.0"
