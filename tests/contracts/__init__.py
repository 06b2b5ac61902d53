"""What every implementation of a seam must do: a suite subclasses a contract and gives it one to try."""
