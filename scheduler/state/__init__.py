"""What we believe about the cluster: frozen values, integers only; no input or output, no clock."""
