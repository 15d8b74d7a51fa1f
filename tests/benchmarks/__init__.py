"""`make bench`: how fast the broker is, beside what a practice could run instead, on the machine that it is run on.

Only ratios of one run mean anything; `docs/benchmarks/README.md` says how to read them.
"""
