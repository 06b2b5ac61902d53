"""Runs the checks of a service: curl lines and what their answers must be."""
