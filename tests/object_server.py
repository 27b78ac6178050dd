"""A small S3 on 127.0.0.1: buckets are folders, addressed by path; ranges, conditions, lists, keys and their refusal.

Signatures are not checked, but that there is one is: `key` is the access key that may read, None lets everybody.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import parse_qs

from range_server import Handler, Request, Served

DATE = "Tue, 01 Dec 2026 00:00:00 GMT"


class Objects(Served):
    key: str | None = None

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, answer=self._answer)

    def _answer(self, handler: Handler, request: Request) -> bool:
        path, _, query = request.path.partition("?")
        asked = parse_qs(query)
        if self.key is not None and f"Credential={self.key}/" not in handler.headers.get("Authorization", ""):
            self._error(handler, 403, "AccessDenied")
        elif "list-type" in asked:
            self._list(handler, path.strip("/"), asked.get("prefix", [""])[0])
        else:
            self._object(handler, request, self.folder / path.lstrip("/"))
        return True

    def _object(self, handler: Handler, request: Request, file: Path) -> None:
        trouble = self.trouble(request)
        if not file.is_file():
            self._error(handler, 404, "NoSuchKey")
            return
        size, data = file.stat().st_size, file.read_bytes()
        start, stop = request.range or (0, size)
        stop = min(stop, size)
        if trouble is not None and trouble(handler, data[start:stop], start, size):
            return
        if handler.headers.get("If-Match", handler.tag(file)) != handler.tag(file):
            self._error(handler, 412, "PreconditionFailed")
        elif start >= size:
            self._error(handler, 416, "InvalidRange")
        else:
            handler.partial(data[start:stop], start, size, Last_Modified=DATE)
            handler.wfile.write(data[start:stop])

    def _list(self, handler: Handler, bucket: str, prefix: str) -> None:
        folder = self.folder / bucket / prefix.strip("/")
        files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        listed = "".join(
            f"<Contents><Key>{escape(str(path.relative_to(self.folder / bucket)))}</Key>"
            f"<LastModified>2026-12-01T00:00:00.000Z</LastModified><ETag>{escape(handler.tag(path))}</ETag>"
            f"<Size>{path.stat().st_size}</Size></Contents>"
            for path in files
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
        handler.plain(200, body.encode(), {"Content-Type": "application/xml"})

    def _error(self, handler: Handler, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>of the other side</Message></Error>"
        handler.plain(status, body.encode(), {"Content-Type": "application/xml"})
