"""The exact engine for what does not decompose: CP-SAT on node classes with whole-number counts; the only user of OR-Tools."""
