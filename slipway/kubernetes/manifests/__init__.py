"""A service's Kubernetes objects: one renderer per kind, their labels and names in one place. Pure."""
