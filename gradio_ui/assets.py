"""The portal's own files, kept in memory: compressed once, and linked under a name that changes with their content."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

import brotli
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

STATIC = "/static/"
FOR_EVER = "public, max-age=31536000, immutable"
# Names that change with what they hold: ours and those of Gradio's build. HAProxy reads it too (PCRE).
HASHED = r"^(/static/[0-9a-f]{16}/.+|/[a-z]+/assets/.+-[A-Za-z0-9_-]{8}[0-9]?\.[a-z0-9]+)$"
_VERSION = re.compile(r"^/?[0-9a-f]{16}/")
_TEXT = {".css", ".js", ".svg", ".txt"}
_GAIN = 0.9  # what does not get a tenth smaller stays as it is


@dataclass(frozen=True, slots=True)
class _File:
    media_type: str
    bodies: dict[str, bytes]  # by content encoding; "" for none


class Assets:
    """Answers below STATIC, with or without the version in the path; only with it may anybody keep the answer."""

    def __init__(self, folder: Path) -> None:
        found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        digest = hashlib.sha256()
        for name, path in found.items():
            digest.update(f"{name}\0".encode() + path.read_bytes())
        self.version = digest.hexdigest()[:16]
        self._files = {name: self._read(path) for name, path in found.items()}

    def linked(self, text: bytes) -> bytes:
        """Return a page, script or style sheet that names our files by their version."""
        return text.replace(b'"' + STATIC.encode(), f'"{STATIC}{self.version}/'.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for one file."""
        path: str = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        file = self._files.get(_VERSION.sub("", path))
        if file is None or scope["method"] not in {"GET", "HEAD"}:
            await PlainTextResponse("There is no such file.", 404)(scope, receive, send)
            return
        accepted = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-encoding"), "")
        encoding = next((one for one in ("br", "gzip") if one in accepted and one in file.bodies), "")
        headers = {"vary": "Accept-Encoding"} | ({"content-encoding": encoding} if encoding else {})
        if path.startswith(f"{self.version}/"):
            headers["cache-control"] = FOR_EVER
        await Response(file.bodies[encoding], headers=headers, media_type=file.media_type)(scope, receive, send)

    def _read(self, path: Path) -> _File:
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        body = path.read_bytes()
        if path.suffix not in _TEXT:
            return _File(media_type, {"": body})
        body = self.linked(body)
        packed = {"br": brotli.compress(body), "gzip": gzip.compress(body, mtime=0)}
        return _File(media_type, {"": body} | {k: v for k, v in packed.items() if len(v) < _GAIN * len(body)})
