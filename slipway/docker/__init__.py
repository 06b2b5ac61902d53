"""One host's Docker."""
