"""What the API server can answer instead of what we asked for: one class per answer that somebody treats differently.

Raising them is `scheduler.kube.api`; what to do about one is decided where the call is made.
"""

from __future__ import annotations

from pydantic import BaseModel, ValidationError


class ApiError(Exception):
    """An answer that is not a success. ``status`` is the HTTP status (0: no answer), ``reason`` and ``message`` are the server's words."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after: float | None = None, words: str = "") -> None:
        """Keep the server's words; ``retry_after`` is in seconds, ``None`` where the server named no time. ``words``: without the call."""
        super().__init__(message)
        self.message = message
        self.words = words or message
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class NotConfigured(ApiError):  # noqa: N818 - named like its siblings after what the server (or its absence) says
    """There is no usable kubeconfig and no ServiceAccount: no call was made."""


class Conflict(ApiError):  # noqa: N818 - the server's word
    """409: the object exists already, or is not what the caller thought it was. Nothing was written."""


class Gone(ApiError):  # noqa: N818 - the server's word
    """410: the resourceVersion or continue token is too old. List again."""


class Denied(ApiError):  # noqa: N818 - the server's word
    """401 or 403: the credentials are not known, or do not allow it (or the namespace is being deleted)."""


class NotFound(ApiError):  # noqa: N818 - the server's word
    """404: no such object, or the server does not serve such a kind."""


class Invalid(ApiError):  # noqa: N818 - the server's word
    """Any other 4xx: the server will never accept this request as it is."""


class TooMany(ApiError):  # noqa: N818 - the server's word
    """429: refused for now, nothing was done; ``retry_after`` says when to ask again."""


class Unreachable(ApiError):  # noqa: N818 - what happened
    """No answer, or 5xx: a write may or may not have happened; look before trying again."""


_BY_STATUS: dict[int, type[ApiError]] = {401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 410: Gone, 429: TooMany}
_CLIENT, _SERVER = 400, 500


class _Cause(BaseModel):
    message: str = ""
    reason: str = ""


class _Details(BaseModel):
    causes: list[_Cause] | None = None
    retryAfterSeconds: int = 0  # noqa: N815 - the API's spelling


class Status(BaseModel):
    """The body of an answer that is not a success."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: _Details | None = None


def from_answer(status: int, body: bytes, *, retry_after: str | None = None, what: str = "") -> ApiError:
    """Make the error of an HTTP status and its body; ``what`` names the call for the message where the server sent no words."""
    try:
        said = Status.model_validate_json(body)
    except ValidationError:
        said = Status(message=body[:200].decode(errors="replace").strip())
    kind = _BY_STATUS.get(status, Invalid if _CLIENT <= status < _SERVER else Unreachable)
    wait = _seconds(retry_after) or (float(said.details.retryAfterSeconds) if said.details and said.details.retryAfterSeconds else None)
    message = said.message or f"the API server answered {status}"
    words = _budgets(said) or message
    return kind(f"{what}: {message}" if what else message, status=status, reason=said.reason, retry_after=wait, words=words)


def _budgets(said: Status) -> str:
    """Return what the server says of the disruption budgets that forbid an eviction: unlike its message, that names them."""
    causes = (said.details.causes if said.details else None) or ()
    return " ".join(f"{cause.message.rstrip('.')}." for cause in causes if cause.reason == "DisruptionBudget" and cause.message)


def _seconds(header: str | None) -> float | None:
    # The header may also be a date; the API server sends seconds only.
    return float(header) if header and header.isdecimal() else None
