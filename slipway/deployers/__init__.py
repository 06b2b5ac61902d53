"""How a release gets to where services run."""
