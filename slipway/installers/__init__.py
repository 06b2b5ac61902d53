"""What is put on a host, each decided from facts."""
