"""Files -> raw objects, and back: manifests, snapshots, and what plain ``kubectl get -o json`` writes.

A snapshot holds raw API objects, so that every replay runs the parser of the live watches (`scheduler.kube.parse.wire`). What raw
objects mean is `scheduler.kube.parse.sorting`. Whatever cannot be read is BadInput with file, document and field.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from scheduler.kube.parse.documents import Document, documents, unfold
from scheduler.kube.parse.merging import merged
from scheduler.kube.parse.sorting import Sorted, world
from scheduler.kube.parse.text import BadText, Parsed, parse
from scheduler.state.problems import BadInput, InputProblem

__all__ = ["Document", "Sorted", "documents", "merged", "read", "read_text", "read_yaml_documents", "without_nodes", "world", "write"]

MANIFEST_LIMIT: Final = 16 * 2**20
SNAPSHOT_LIMIT: Final = 2**30
_PIECE: Final = 2**20
_GZIP: Final = b"\x1f\x8b"


def read(paths: Sequence[Path | str], *, snapshot: bool = False) -> list[Document]:
    """Return the objects of files, in their order, lists unfolded; ``-`` is standard input; gzip is seen by its first bytes.

    ``snapshot``: the files together are a cluster, with at least one Node. Manifests may have 16 MiB each, snapshots 1 GiB.
    Raises BadInput with the problems of all files.
    """
    found: list[Document] = []
    problems: list[InputProblem] = []
    for path in paths:
        try:
            found.extend(_file(path, SNAPSHOT_LIMIT if snapshot else MANIFEST_LIMIT))
        except BadInput as error:
            problems.extend(error.problems)
    if problems:
        raise BadInput(problems)
    if snapshot and not any(d.kind == "Node" for d in found):
        raise without_nodes(found, file=", ".join(map(str, paths)))
    return found


def read_text(text: str, *, file: str = "") -> list[Document]:
    """Return the objects of a manifest that is given as text; raises BadInput."""
    return _documents(text.encode(errors="surrogatepass"), file)


def read_yaml_documents(path: Path) -> list[Any]:
    """Return the documents of a file whatever they are (case files), comments alone left out; raises BadInput."""
    return [parsed.value for parsed in _parsed(_bytes(path, MANIFEST_LIMIT), str(path)) if not parsed.empty]


def write(objects: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a snapshot file of raw objects: a List in JSON, one object a line, the same bytes whatever order they come in."""
    lines = sorted((_sort_key(raw), json.dumps(raw, sort_keys=True, separators=(",", ":"))) for raw in objects)
    body = ",\n".join(line for _, line in lines)
    return b'{"apiVersion":"v1","kind":"List","items":[\n' + body.encode() + b"\n]}\n"


def _sort_key(raw: Mapping[str, Any]) -> tuple[str, str, str, str]:
    metadata = raw.get("metadata") or {}
    return (str(raw.get("apiVersion", "")), str(raw.get("kind", "")), str(metadata.get("namespace", "")), str(metadata.get("name", "")))


def _file(path: Path | str, limit: int) -> list[Document]:
    return _documents(_bytes(path, limit), str(path))


def _documents(data: bytes, file: str) -> list[Document]:
    whole = [Document(file=file, index=p.index, raw=p.value) for p in _parsed(data, file) if not p.empty]
    if not whole:
        raise BadInput(InputProblem(file=file, found="no object (an empty file or comments alone)", expected="at least one object"))
    return unfold(whole)


def _parsed(data: bytes, file: str) -> list[Parsed]:
    try:
        return parse(data)
    except BadText as error:
        raise BadInput(InputProblem(file=file, document=error.document, found=error.found, expected=error.expected)) from None


def _bytes(path: Path | str, limit: int) -> bytes:
    try:
        if str(path) == "-":
            return _limited(sys.stdin.buffer, "-", limit)
        with Path(path).open("rb") as stream:
            return _limited(stream, str(path), limit)
    except FileNotFoundError:
        found = "no such file"
    except IsADirectoryError:
        found = "a directory"
    except ValueError:  # Python refuses names with a zero byte
        found = "a name that no file can have"
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
    raise BadInput(InputProblem(file=str(path), found=found, expected="a readable file"))


def _limited(stream: BinaryIO, file: str, limit: int) -> bytes:
    """Read at most ``limit`` bytes, unpacked; never holds more than one piece beyond it."""
    first = stream.read(_PIECE)
    unpack = zlib.decompressobj(wbits=31) if first.startswith(_GZIP) else None
    pieces: list[bytes] = []
    size = 0
    piece = first
    while piece:
        try:
            part = piece if unpack is None else unpack.decompress(piece, limit + 1 - size)
        except zlib.error:
            raise BadInput(InputProblem(file=file, found="a broken gzip file", expected="a whole gzip file")) from None
        pieces.append(part)
        size += len(part)
        if size > limit:
            raise BadInput(InputProblem(file=file, found=f"more than {limit // 2**20:,} MiB", expected=f"at most {limit // 2**20:,} MiB"))
        piece = stream.read(_PIECE)
    if unpack is not None and not unpack.eof:
        raise BadInput(InputProblem(file=file, found="a gzip file that ends in the middle", expected="a whole gzip file"))
    return b"".join(pieces)


def without_nodes(found: Iterable[Document], *, file: str = "") -> BadInput:
    """Return what is wrong with a cluster that holds no node, and what it holds instead."""
    kinds = sorted({d.kind for d in found})
    shown = f"0 nodes (only {', '.join(kinds)[:60]})" if kinds else "0 nodes (an empty list)"
    expected = "a snapshot with at least one Node (kubectl get nodes,pods -A -o json)"
    return BadInput(InputProblem(file=file, found=shown, expected=expected))
