"""New services: names that fit, a port that is free, and the files of a service that works as it is made."""
