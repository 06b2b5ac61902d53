"""What an answer can be asserted to be: one file per assertion; `expect.py` is the registry."""
