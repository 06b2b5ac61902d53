"""Views of a run: live for a terminal, plain for a log, JSON for a script."""
