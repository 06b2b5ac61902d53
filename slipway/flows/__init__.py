"""The stories: what `setup`, `build`, `smoke` and `deploy` consist of."""
