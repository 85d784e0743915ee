"""Receiving a video or frames, bounded in bytes, in number and in time, straight into a job's folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fastapi import HTTPException, Request, status
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from isomer.serve.options import Limits

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_IMAGES = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg"}
_SHOWN = 120
_STALL_SECONDS = 30
"""Without a byte: a client that is gone must not keep its place in the queue for long."""
_SIGNATURE = 8
"""Bytes by which an image's format is known."""


async def receive(request: Request, folder: Path, limits: Limits) -> str:
    """Write the `video` of a form to folder/video, or its `frames`, in order, to folder/frames/00000.png, ...

    Returns:
        What the client calls the video, for show; no name of a client's is ever one of a file here.

    Raises:
        HTTPException: 400 a broken form, 408 too slow, 413 too large, 415 no form, 422 not one video or
            some frames.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise HTTPException(
            status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
            "send multipart/form-data with a file `video`, or files `frames`",
        )
    most = limits.upload_mib * 2**20
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal():
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "the content-length is no number")
    if int(announced) > most:
        raise _too_large(limits)
    with ExitStack() as stack:
        form = stack.enter_context(_Form(folder, limits))
        try:
            parser = MultipartParser(options[b"boundary"], form.callbacks())
            received = 0
            async for chunk in _timed(request.stream(), limits.upload_seconds):
                received += len(chunk)
                if received > most:
                    raise _too_large(limits)
                await asyncio.to_thread(parser.write, chunk)
            parser.finalize()
        except (FormParserError, ClientDisconnect) as error:
            raise HTTPException(status.HTTP_400_BAD_REQUEST, "the form is broken or cut short") from error
        if not form.is_complete:
            raise HTTPException(status.HTTP_400_BAD_REQUEST, "the form is cut short")
    if not form.files:
        raise _refused("the form has no file; send a `video`, or `frames`")
    return form.name


async def receive_bytes(request: Request, most: int, seconds: float) -> bytes:
    """Read a small body.

    Raises:
        HTTPException: 400 cut short, 408 too slow, 413 larger than this.
    """
    content = b""
    try:
        async for chunk in _timed(request.stream(), seconds):
            content += chunk
            if len(content) > most:
                raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, f"more than {most} bytes; send less")
    except ClientDisconnect as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "the request is cut short") from error
    return content


class _Form:
    """Writes the files of a form as the parser meets them; a context manager that closes what is open."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._field = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._head = bytearray()
        self._file: BinaryIO | None = None
        self._is_frame = False
        self.files = 0
        self.name = ""
        self.is_complete = False

    def __enter__(self) -> _Form:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"")
        follows_frame, self._is_frame = self._is_frame, name == b"frames"
        if name not in (b"video", b"frames") or (self.files and not (follows_frame and self._is_frame)):
            raise _refused("the form has another field; send one `video`, or `frames`, and nothing else")
        if self.files >= self._limits.frames:
            raise _refused(f"more than {self._limits.frames} frames (the server's limit --frames); send fewer")
        if self._is_frame:
            (self._folder / "frames").mkdir(exist_ok=True)
            self._head.clear()
            self.name = "frames"
        else:
            self.name = _shown(options.get(b"filename", b""))
            self._file = (self._folder / "video").open("wb")
        self.files += 1

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        content = data[start:end]
        if self._file is None:
            self._head += content
            if len(self._head) < _SIGNATURE:
                return
            self._file = self._frame()
            content = bytes(self._head)
        self._file.write(content)

    def _frame(self) -> BinaryIO:
        for signature, suffix in _IMAGES.items():
            if self._head.startswith(signature):
                return (self._folder / "frames" / f"{self.files - 1:05d}{suffix}").open("wb")
        raise _refused(f"frame {self.files - 1} is neither PNG nor JPEG; send these")

    def _on_part_end(self) -> None:
        if self._file is None:
            raise _refused(f"frame {self.files - 1} is empty; send PNGs or JPEGs")
        self._file.close()
        self._file = None

    def _on_end(self) -> None:
        self.is_complete = True


async def _timed(chunks: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Pass chunks on; HTTPException 408 once they stall, or all together took longer than this."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            left = min(deadline - loop.time(), _STALL_SECONDS)
            chunk = await asyncio.wait_for(anext(chunks), left)
        except StopAsyncIteration:
            return
        except (asyncio.TimeoutError, TimeoutError) as error:
            raise HTTPException(
                status.HTTP_408_REQUEST_TIMEOUT,
                f"the upload stalled, or took longer than {seconds:g} s (the server's limit --upload-seconds); send a "
                "smaller file",
            ) from error
        yield chunk


def _shown(name: bytes) -> str:
    text = name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in text if letter.isprintable())[:_SHOWN] or "video"


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(
        status.HTTP_413_CONTENT_TOO_LARGE,
        f"more than {limits.upload_mib} MiB (the server's limit --upload-mib); send a smaller file",
    )


def _refused(reason: str) -> HTTPException:
    return HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, reason)
