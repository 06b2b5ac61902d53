"""Where a service's secrets come from."""
