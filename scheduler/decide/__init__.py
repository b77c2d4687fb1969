"""The decision: plain data in, plain data out; stages that do not know each other, introduced by `place`."""
