"""A host over SSH."""
