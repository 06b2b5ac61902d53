"""Checks of a running service: curl lines and what they must answer."""
