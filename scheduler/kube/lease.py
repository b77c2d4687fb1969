"""Leader election by a Lease: which replica may write.

The term (the Lease's leaseTransitions) rises with every take-over, also with a restarted container's take-over of its own Lease: its former
process is dead. How long a Lease of somebody else still holds is judged by our own monotonic clock from the moment when we saw it
change; clocks of two machines are never compared. What a former leader can still do wrong is bounded by the records, see
`scheduler.kube.bindings.commit`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, Field

from scheduler.kube.api import LEASES, Api, Body
from scheduler.kube.errors import ApiError, Conflict, NotFound, TooMany, Unreachable

logger = logging.getLogger(__name__)

NAME: Final = "coterie"
NAMESPACE: Final = "coterie-system"
DURATION_SECONDS: Final = 15.0
RENEW_SECONDS: Final = 2.0
CALL_SECONDS: Final = 5.0
"""A renewal that takes longer is given up and tried again, so that one lost answer does not cost the Lease."""
MARGIN_SECONDS: Final = 1.0
"""The Lease counts as lost so long before others may take it."""


_SILENT_TIMES: Final = 4
"""A holder that has not renewed for so many times our own duration, and holds the Lease all the same, is worth a warning."""


class _Meta(BaseModel):
    resourceVersion: str = ""  # noqa: N815 - the API's spelling


class _Spec(BaseModel):
    holderIdentity: str | None = None  # noqa: N815 - the API's spelling
    leaseDurationSeconds: int | None = None  # noqa: N815 - the API's spelling
    leaseTransitions: int | None = None  # noqa: N815 - the API's spelling
    acquireTime: str | None = None  # noqa: N815 - the API's spelling
    renewTime: str | None = None  # noqa: N815 - the API's spelling


class _Object(BaseModel):
    metadata: _Meta
    spec: _Spec = Field(default_factory=_Spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    version: str
    since: float


def since_boot() -> float:
    """Return seconds since the machine booted, suspends included: `time.monotonic` stands still while others count on."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """One replica's share in the election: `acquire`, then `keep` beside the work; ask `held` right before a write that nothing else guards."""

    def __init__(
        self,
        api: Api,
        *,
        identity: str,
        namespace: str = NAMESPACE,
        name: str = NAME,
        duration: float = DURATION_SECONDS,
        renew: float = RENEW_SECONDS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Ask nothing yet; ``duration`` and ``renew`` are in seconds, ``clock`` is `since_boot` when it is left out."""
        self.identity = identity
        self.term = 0
        self.holder = ""
        """Who holds it, as far as we saw; for messages."""
        self.trouble = ""
        """Why it could not be asked for or renewed at the last try; empty: it could."""
        self._api = api
        self._namespace = namespace
        self._name = name
        self._duration = duration
        self._renew = renew
        self._clock = clock or since_boot
        self._latest = self._clock()
        self._until = float("-inf")
        self._version = ""
        self._acquired = ""
        self._seen = _Seen(version="", since=0.0)
        self._wait = self._warn_after = 0.0

    def held(self) -> bool:
        """Whether the Lease is surely ours at this moment. A clock that went back proves nothing: the Lease is then lost."""
        now = self._clock()
        if now < self._latest:
            logger.warning("the clock went back by %.1f s; the Lease %s/%s counts as lost", self._latest - now, self._namespace, self._name)
            self._until = float("-inf")
        self._latest = now
        return now < self._until - min(MARGIN_SECONDS, self._duration / 4)

    async def acquire(self) -> None:
        """Wait until the Lease is ours. Raise what the server says when it will not change: Denied, Invalid, a missing namespace."""
        told = ""
        while True:
            if await self._try():
                return
            if self.holder not in ("", told, self.identity):
                told = self.holder
                logger.info("waiting for the Lease %s/%s: %s holds it for %g s after each change", self._namespace, self._name, told, self._wait)
            self._warn_of_silence()
            await asyncio.sleep(self._renew)

    async def keep(self) -> None:
        """Renew; return when the Lease is lost: somebody else has it, or it could not be renewed in time."""
        while True:
            await asyncio.sleep(self._renew)
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    if not await self._renewed():
                        self._until = float("-inf")
                        return
            except (ApiError, TimeoutError) as error:
                self._troubled(f"the Lease {self._namespace}/{self._name} could not be renewed: {_why(error)}")
            if not self.held():
                return

    async def release(self) -> None:
        """Give the Lease back at a graceful stop, so that the next leader need not wait; errors do not matter any more."""
        if not self.held():
            return
        self._until = float("-inf")
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._write(holder=None, term=self.term)
        except (ApiError, TimeoutError) as error:
            logger.info("the Lease %s/%s was not given back and runs out by itself: %s", self._namespace, self._name, error)

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                found = await self._read()
                if found is None:
                    return await self._create()
                if not self._free(found):
                    self.trouble = ""
                    return False
                self._version, self._acquired = found.metadata.resourceVersion, _now()
                return await self._taken((found.spec.leaseTransitions or 0) + 1)
        except Conflict:
            return False
        except (Unreachable, TooMany, TimeoutError) as error:
            self._troubled(f"the Lease {self._namespace}/{self._name} cannot be asked for: {_why(error)}")
            return False

    def _warn_of_silence(self) -> None:
        """Say that the holder has not renewed the Lease for very long and still holds it, again when that has lasted twice as long."""
        silent, first = self._clock() - self._seen.since, _SILENT_TIMES * self._duration
        if self.holder in ("", self.identity) or silent < first:
            self._warn_after = first
        elif silent >= self._warn_after and not self.trouble:  # a Lease that could not be asked for may have been renewed
            self._warn_after = 2 * silent
            logger.warning(
                "nobody schedules: %s holds the Lease %s/%s for %g s after each change and has not renewed it for %.0f s. "
                "Where it does not run any more, delete the Lease",
                self.holder,
                self._namespace,
                self._name,
                self._wait,
                silent,
            )

    def _troubled(self, why: str) -> None:
        """Keep what is wrong; it is logged when it begins, not with every try."""
        if why != self.trouble:
            logger.warning("%s", why)
        self.trouble = why

    async def _read(self) -> _Object | None:
        try:
            return _Object.model_validate_json(await self._api.get(LEASES.path(self._namespace, self._name)))
        except NotFound:
            return None

    def _free(self, found: _Object) -> bool:
        self.holder = found.spec.holderIdentity or ""
        if self.holder in ("", self.identity):
            return True
        now = self._clock()
        if found.metadata.resourceVersion != self._seen.version:
            self._seen = _Seen(version=found.metadata.resourceVersion, since=now)
        self._wait = float(found.spec.leaseDurationSeconds or self._duration)
        return now - self._seen.since > self._wait

    async def _create(self) -> bool:
        sent = self._clock()
        self._acquired = _now()
        answer = await self._api.post(LEASES.path(self._namespace), self._body(holder=self.identity, term=1))
        return self._won(answer, sent, 1)

    async def _taken(self, term: int) -> bool:
        sent = self._clock()
        return self._won(await self._write(holder=self.identity, term=term), sent, term)

    async def _renewed(self) -> bool:
        try:
            return await self._taken(self.term)
        except (Conflict, NotFound):
            # Somebody wrote in between, perhaps we ourselves in a call whose answer was lost. Only holder and term together say whether it is ours:
            # a second process with our own name has a higher term.
            found = await self._read()
            if found is None or (found.spec.holderIdentity, found.spec.leaseTransitions) != (self.identity, self.term):
                return False
            self._version = found.metadata.resourceVersion
            return await self._taken(self.term)

    def _won(self, answer: bytes, sent: float, term: int) -> bool:
        self._version = _Object.model_validate_json(answer).metadata.resourceVersion
        # From the moment of sending: others count from a later one.
        self._until = sent + self._duration
        self.term, self.holder, self.trouble = term, self.identity, ""
        return True

    async def _write(self, *, holder: str | None, term: int) -> bytes:
        return await self._api.put(LEASES.path(self._namespace, self._name), self._body(holder=holder, term=term, version=self._version))

    def _body(self, *, holder: str | None, term: int, version: str = "") -> Body:
        # Whole seconds is all that the API takes: up, because others must not take it before we believe that it is lost.
        seconds = math.ceil(self._duration) if holder else 1
        return {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace, **({"resourceVersion": version} if version else {})},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": seconds,
                "acquireTime": self._acquired,
                "renewTime": _now(),
                "leaseTransitions": term,
            },
        }


def _why(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)


def _now() -> str:
    return datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
