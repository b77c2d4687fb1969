"""Text and raw objects -> the values that decisions read: manifests, snapshots and live objects through one parser."""
