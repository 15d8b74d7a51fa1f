"""A simulated PM and EMR that play a practice's day over MLLP, for tests and for anyone who tries the broker.

What they say is made without input or output (`desk`, `clinic`, `follower`, `hand`), how they say it stands apart (`line`,
`receiver`, `player`). All people are invented, and everybody's family name begins with DEMO-.
"""
