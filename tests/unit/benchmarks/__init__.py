"""Unit tests of the benchmarks' own arithmetic."""
