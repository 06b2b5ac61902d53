"""What a team writes: models of its files, and the loader that finds every fault in them."""
