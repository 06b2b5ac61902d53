"""Jars and images, by their sources' digest."""
