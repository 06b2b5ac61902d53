"""From sources to a jar to an image."""
