"""Secret sources, one file each."""
