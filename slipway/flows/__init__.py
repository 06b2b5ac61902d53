"""The stories: which steps `setup`, `build`, `smoke` and `deploy` consist of, and what comes after what."""
