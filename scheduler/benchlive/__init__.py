"""``coterie bench live``: measures on a real API server whose nodes are played by KWOK.

Apart from `scheduler.bench`, which never loads the client library. It makes and removes nodes and pods, so it refuses every cluster that has
a node which KWOK does not play.
"""
