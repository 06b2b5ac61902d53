"""Releases in a namespace of a cluster."""
