"""What an author needs to test a handler or a rule, and peers, senders and lines that misbehave on purpose.

`peers`: a scripted receiver and a raw client. `behaviours`, `senders`, `faults`: how a receiver, a sender, a line misbehaves.
`proxy`: a line between a real client and a real server. `chaos`: misbehaviour by chance, repeatable by seed. `clocks`: clocks
that a test owns.
"""
