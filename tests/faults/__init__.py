"""What the scheduler does when things break, on a real API server: a proxy before it, schedulers that are killed and paused, and a checker.

Begin with `longrun`: one seed plays a `scenario` through the `proxy`, and `history` with `checks` judges every step of what etcd stored. `kills` and
`fencing` use the same parts for processes that die or are paused in the middle of a commit. ``make faults`` runs all of it.
"""
