"""One host's Docker daemon, by noun: images, containers, volumes, networks."""
