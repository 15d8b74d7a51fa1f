"""Patients, appointments, charges: what they are and what a message says of them. Pure."""
