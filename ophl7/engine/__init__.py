"""The road of a message: load, judge, commit, answer, deliver. Meets the world through `ports` and `storage` only."""
