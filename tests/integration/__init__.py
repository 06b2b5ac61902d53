"""Integration tests: a real dockerd and the real service."""
