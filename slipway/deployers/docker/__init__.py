"""Releases on one host's Docker."""
