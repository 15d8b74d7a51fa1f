"""Finds and loads handlers and rules."""
