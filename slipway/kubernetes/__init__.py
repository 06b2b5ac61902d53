"""One cluster's API: objects rendered, applied and compared; rollouts waited for and diagnosed."""
