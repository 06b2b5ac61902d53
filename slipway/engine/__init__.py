"""Steps and preconditions, and how a graph of them is planned and run."""
