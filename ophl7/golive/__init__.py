"""Patient lists that both systems have before ophl7 exists, loaded into the registry (decisions 2, go-live)."""
