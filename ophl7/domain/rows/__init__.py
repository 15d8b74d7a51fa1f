"""The rows of the decision table, one module a domain."""
