"""The mathematics: arrays in, counts per node class out; knows nothing of pods, nodes or Kubernetes."""
