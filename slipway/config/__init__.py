"""What a team writes: models of its files, and the loader that finds every error in them."""
