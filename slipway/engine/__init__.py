"""Steps, plans and runs: what the rest is told with."""
