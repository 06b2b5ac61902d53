"""Unit tests: seconds, no daemon."""
