"""The edge to Kubernetes: parse, watch, group, commit, publish."""
