"""``coterie bench``: measures what the documentation claims. Offline: no cluster and no client library.

`scenarios` lists what is measured, `measure` says what a measurement is, `yardsticks` holds the method to compare with. What needs a
cluster is `scheduler.benchlive`.
"""
