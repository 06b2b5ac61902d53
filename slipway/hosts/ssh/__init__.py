"""A host over SSH: its connection, and the commands, files and sockets that go through it."""
