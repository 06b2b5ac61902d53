"""Curl lines and what they must answer."""
