"""What is installed on a host: one module per tool, whose steps are decided from the host's facts."""
