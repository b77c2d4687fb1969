"""Faults: a proxy before the real API server, processes that can be killed and paused, and the tests that use them."""
