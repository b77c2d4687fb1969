"""Names, labels and namespaces as the API server accepts them: manifests and snapshots have not been through it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from scheduler.kube.parse.reading import Refused

_LABEL_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_LABEL: Final = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_SHORT: Final = 63
_LONG: Final = 253

EXPECTED_NAME: Final = "a name of at most 253 characters: lower-case letters, digits, '-' and '.'"
EXPECTED_SERVICE_NAME: Final = "a name of at most 63 characters: lower-case letters, digits and '-', beginning with a letter"
EXPECTED_NAMESPACE: Final = "a name of at most 63 characters: lower-case letters, digits and '-'"
EXPECTED_KEY: Final = "a label key: at most 63 characters (letters, digits, '-', '_', '.'), with a domain of at most 253 before a '/'"
EXPECTED_VALUE: Final = "a label value of at most 63 characters: letters, digits, '-', '_', '.'"


@lru_cache(maxsize=65536)
def is_label_key(key: str) -> bool:
    """Tell whether a string can be the key of a label."""
    domain, slash, name = key.rpartition("/")
    if slash and not (len(domain) <= _LONG and _SUBDOMAIN.fullmatch(domain)):
        return False
    return len(name) <= _SHORT and _LABEL_NAME.fullmatch(name) is not None


@lru_cache(maxsize=65536)
def is_label_value(value: str) -> bool:
    """Tell whether a string can be the value of a label."""
    return not value or (len(value) <= _SHORT and _LABEL_NAME.fullmatch(value) is not None)


def check_labels(labels: Mapping[str, str], place: str) -> None:
    """Refuse the first label that the API server would refuse."""
    for key, value in labels.items():
        if not is_label_key(key):
            raise Refused(place, key, EXPECTED_KEY)
        if not is_label_value(value):
            raise Refused(f"{place}.{key}", value, EXPECTED_VALUE)


def check_name(name: str | None, place: str = "metadata.name") -> str:
    """Return a name that an object can have; refuse a missing or an impossible one."""
    if not name:
        raise Refused(place, name, EXPECTED_NAME)
    if len(name) > _LONG or _SUBDOMAIN.fullmatch(name) is None:
        raise Refused(place, name, EXPECTED_NAME)
    return name


def check_namespace(name: str, place: str = "metadata.namespace") -> str:
    """Return a name that a namespace can have."""
    if len(name) > _SHORT or _NAMESPACE.fullmatch(name) is None:
        raise Refused(place, name, EXPECTED_NAMESPACE)
    return name


def check_service_name(name: str, place: str = "metadata.name") -> str:
    """Return a name that a Service can have too (LeaderWorkerSet and Knative make Services of their own name)."""
    if len(name) > _SHORT or _LABEL.fullmatch(name) is None:
        raise Refused(place, name, EXPECTED_SERVICE_NAME)
    return name
