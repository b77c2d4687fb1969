"""A small synchronous Kubernetes client for tests: plain JSON in and out, one pooled keep-alive session, every kind by discovery."""

import json
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import urllib3

Object = dict[str, Any]
T = TypeVar("T")

TIMEOUT = 30.0  # seconds for one request
PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class ApiError(Exception):
    """An answer of the API server that is no success."""

    def __init__(self, method: str, path: str, status: int, body: bytes) -> None:
        """Keep the Status object when the answer is one."""
        try:
            self.body: Object = json.loads(body)
        except ValueError:
            self.body = {"message": body.decode(errors="replace")}
        self.status = status
        self.reason: str = self.body.get("reason", "")
        super().__init__(f"{method} {path}: {status} {self.reason} {self.body.get('message', '')}")


class Admin:
    """One identity at one API server. Safe to use from several threads."""

    def __init__(self, url: str, ca: Path | str, token: str) -> None:
        """Open nothing yet: the first request connects."""
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._pool = urllib3.PoolManager(ca_certs=str(ca), maxsize=8, retries=False, timeout=urllib3.Timeout(TIMEOUT))
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def request(self, method: str, path: str, *, body: Any = None, content_type: str = "application/json", params: Object | None = None) -> bytes:
        """Send one request and return the body of a success."""
        headers = self._headers if body is None else self._headers | {"Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        response = self._pool.request(method, self.url + path + _query(params or {}), body=data, headers=headers)
        if response.status >= 300:
            raise ApiError(method, path, response.status, response.data)
        return response.data

    def get(self, path: str, **params: Any) -> Object:
        """Return an object or a list: `get("/api/v1/pods", labelSelector="a=b")`."""
        return _object(self.request("GET", path, params=params))

    def items(self, path: str, **params: Any) -> list[Object]:
        """Return the items of a list."""
        items: list[Object] = self.get(path, **params)["items"]
        return items

    def exists(self, path: str) -> bool:
        """Say whether there is such an object."""
        try:
            self.get(path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def create(self, path: str, obj: Object, **params: Any) -> Object:
        """POST an object to a collection, or to a subresource such as .../binding."""
        return _object(self.request("POST", path, body=obj, params=params))

    def replace(self, path: str, obj: Object, **params: Any) -> Object:
        """PUT an object."""
        return _object(self.request("PUT", path, body=obj, params=params))

    def patch(self, path: str, body: Any, *, kind: str = "merge", **params: Any) -> Object:
        """PATCH: `kind` is merge, strategic or json."""
        return _object(self.request("PATCH", path, body=body, content_type=PATCHES[kind], params=params))

    def delete(self, path: str, *, body: Object | None = None, missing_ok: bool = False, **params: Any) -> Object:
        """DELETE an object, or every object of a collection."""
        try:
            return _object(self.request("DELETE", path, body=body, params=params))
        except ApiError as error:
            if missing_ok and error.status == 404:
                return error.body
            raise

    def apply(self, obj: Object, *, namespace: str | None = None, field_manager: str = "tests") -> Object:
        """Apply an object of any served kind on the server's side; conflicts are taken over."""
        params = {"fieldManager": field_manager, "force": "true", "fieldValidation": "Strict"}
        return _object(self.request("PATCH", self.path(obj, namespace=namespace), body=obj, content_type=PATCHES["apply"], params=params))

    def path(self, obj: Object, *, namespace: str | None = None) -> str:
        """Return the path of an object, found by discovery from its apiVersion and kind."""
        version, metadata = obj["apiVersion"], obj["metadata"]
        prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural, namespaced = self._resource(prefix, obj["kind"])
        scope = f"/namespaces/{namespace or metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{prefix}{scope}/{plural}/{metadata['name']}"

    def wait(self, predicate: Callable[[], T], timeout: float = 10.0, *, interval: float = 0.05, what: str = "") -> T:
        """Return the first truthy answer of the predicate; a TimeoutError carries the last one. An ApiError counts as "not yet"."""
        deadline = time.monotonic() + timeout
        while True:
            last: T | ApiError
            try:
                last = predicate()
                if last:
                    return last
            except ApiError as error:
                last = error
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what or 'the condition'} did not come true in {timeout} s; last: {last!r}")
            time.sleep(interval)

    def watch(self, path: str, timeout: float = 30.0, **params: Any) -> Generator[bytes, None, None]:
        """Yield the raw lines of a watch until the server ends it after `timeout` seconds."""
        query = _query({"watch": "true", "timeoutSeconds": int(timeout), **params})
        limits = urllib3.Timeout(connect=TIMEOUT, read=timeout + TIMEOUT)
        response = self._pool.request("GET", self.url + path + query, headers=self._headers, preload_content=False, timeout=limits)
        try:
            if response.status >= 300:
                raise ApiError("WATCH", path, response.status, response.read())
            yield from _lines(response)
        finally:
            response.close()  # not back into the pool: the stream may be in the middle

    def _resource(self, prefix: str, kind: str) -> tuple[str, bool]:
        known = self._kinds.get(prefix, {})
        if kind not in known:  # unknown, or a CRD came meanwhile
            resources = self.get(prefix)["resources"]
            known = {each["kind"]: (each["name"], each["namespaced"]) for each in resources if "/" not in each["name"]}
            self._kinds[prefix] = known
        return known[kind]


def _object(body: bytes) -> Object:
    parsed: Object = json.loads(body)
    return parsed


def _query(params: Object) -> str:
    return f"?{urlencode(params)}" if params else ""


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    while chunk := response.read1():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
