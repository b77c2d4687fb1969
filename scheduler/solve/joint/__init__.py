"""Several gangs on the same nodes at once: the question, what sums refuse of it, and the loads that gangs can share a node with."""
