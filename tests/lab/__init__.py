"""The lab: containers that act as machines, and tests on them."""
