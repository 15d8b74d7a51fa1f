"""What the broker tells about itself: logs, metrics, health, alarms. Never a word about a patient.

The rooms below know nothing of this one: they call observers that `app` hands down.
"""
