"""New services: a valid name, a free port, and the files of a service that works as it is."""
