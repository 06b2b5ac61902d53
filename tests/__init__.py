"""The tests, suite by suite."""
