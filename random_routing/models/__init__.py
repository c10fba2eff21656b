"""Language models: loading, one interface, key/value cache, batch-invariant arithmetic."""
