"""One cluster's API."""
