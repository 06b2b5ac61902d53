"""A cluster as a place where services run."""
