"""Lists and watches: what the API server tells, as typed events on one queue, or as one file."""
