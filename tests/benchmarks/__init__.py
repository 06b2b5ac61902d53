"""Benchmarks: medians, each beside a peer or a floor measured in the same run."""
