"""Steps that put a tool on a host, decided from facts."""
