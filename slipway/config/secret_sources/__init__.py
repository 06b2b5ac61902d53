"""Where a service's secrets come from: one file per source; `registry.py` is the list of them."""
