"""Jars and images, built from a service's sources and named by their digest."""
