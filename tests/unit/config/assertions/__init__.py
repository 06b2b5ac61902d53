"""Assertions, one file each."""
