"""The header lines of our calls, with the credentials of the moment in them."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Final, Protocol

JSON: Final = "application/json"
FRESH_SECONDS: Final = 1.0
"""How long credentials are used before the library is asked for them again: it reads a pod's token anew every minute."""


class Settings(Protocol):
    """What is asked of a ``kubernetes.aio`` Configuration."""

    async def auth_settings(self) -> Mapping[str, Mapping[str, object]]:
        """Return the headers that say who we are, read anew where the library reads them anew."""


class Credentials:
    """Asks for them seldom, because the binds of a second all carry the same."""

    def __init__(self, settings: Settings) -> None:
        """Ask these settings; nothing is read yet."""
        self._settings = settings
        self._known: Mapping[str, str] = {}
        self._read: float | None = None
        self._lines: dict[str, bytes] = {}

    def expired(self) -> None:
        """Ask again at the next call: the server did not know them any more."""
        self._read = None

    async def headers(self, content: str) -> Mapping[str, str]:
        """Return the headers of a call with a body of this type."""
        if self._read is None or monotonic() - self._read >= FRESH_SECONDS:
            found = await self._settings.auth_settings()
            # A token that was read from a file may end in a newline; inside a header that would begin another one.
            known = {str(each["key"]): "".join(str(each["value"]).splitlines()) for each in found.values()}
            if known != self._known:
                self._lines.clear()
            self._known, self._read = known, monotonic()
        return {"Accept": JSON, "User-Agent": "coterie", "Content-Type": content, **self._known}

    async def lines(self, content: str) -> bytes:
        """Return the same as bytes, each line with its end."""
        headers = await self.headers(content)
        lines = self._lines.get(content)
        if lines is None:
            lines = self._lines[content] = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        return lines
