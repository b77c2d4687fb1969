"""Names that must not be mixed up: a type each, so that the type checker tells them apart."""

from typing import NewType

NodeName = NewType("NodeName", str)
PodUid = NewType("PodUid", str)
GangKey = NewType("GangKey", str)
"""Unique among all gangs of a cluster, stable while the gang lives: namespace, kind, name and, where one exists, the leader's UID."""
