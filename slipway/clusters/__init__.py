"""The kinds of Kubernetes cluster that services run on."""
