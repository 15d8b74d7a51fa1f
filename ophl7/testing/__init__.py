"""What an author needs to test a handler or a rule, and peers that misbehave on purpose."""
