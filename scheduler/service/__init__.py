"""The live loop: drain events, snapshot, decide, commit, publish. Event driven; deciding runs in a worker thread, binds run beside it.

`loop` turns, `feed` takes events in, `attempts` remembers what became of each gang, `deciding` calls the core, `carrying` carries plans out
and looks after records, `telling` says what others see, `http` answers probes, `running` puts all of it together. The solver is injected.
"""
