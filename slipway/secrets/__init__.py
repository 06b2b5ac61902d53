"""The secrets of services: their values, and a fingerprint of them."""
