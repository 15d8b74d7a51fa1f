"""Durable memory: the stores behind `engine.storage.Store`."""
