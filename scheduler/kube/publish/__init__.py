"""What others see: pod conditions, events, statuses of PodGroups and policies. First values, then writes.

`said` has the values, `gangs`, `groups` and `objects` make them from what is known (pure), `outbox` writes what has changed, behind the binds.
"""
