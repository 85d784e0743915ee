"""The application: the HTTP API under /v1, the page, health and metrics."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import isomer
from isomer.errors import InputError
from isomer.media import OUTPUTS
from isomer.media.background import PLAIN
from isomer.options import QUALITIES, Adjustments, Option, VideoOptions, options_of
from isomer.serve.corrections import MARKS_SCHEMA, receive_marks
from isomer.serve.errors import OUR_FAULT, QueueFullError, StorageFullError
from isomer.serve.guard import guard
from isomer.serve.jobs import Job, State
from isomer.serve.log import log_event
from isomer.serve.proxy import BehindProxy, Network
from isomer.serve.queue import JobQueue
from isomer.serve.results import result_suffix
from isomer.serve.upload import receive

PAGE = Path(__file__).parent / "page"

_RETRY_SECONDS = 5
_EVENT_SECONDS = 0.25
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; img-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_UPLOAD_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "description": "Either one `video`, or the `frames` of one in order, all of one size.",
                    "properties": {
                        "video": {
                            "type": "string",
                            "format": "binary",
                            "description": "MP4, MOV, WebM, MKV, AVI, MPEG, Ogg, FLV or ASF",
                        },
                        "frames": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "two or more PNGs or JPEGs",
                        },
                    },
                }
            }
        },
    }
}

_OF_OBJECTS = ("threshold",)
_OF_PROJECT = ("threshold", "keep", "drop")
_OF_PREVIEW = ("threshold", "keep", "drop", "edges")
_OF_RESULTS = (*options_of(Adjustments), "edges", "objects", "keep", "drop", "background")
_PICKS = 255
"""The most objects that a request names."""

Kind = Enum("Kind", {kind: kind for kind in OUTPUTS}, type=str)  # type: ignore[misc]
QualityName = Enum("QualityName", {name: name for name in QUALITIES}, type=str)  # type: ignore[misc]
Quality = Annotated[QualityName, Query(description=options_of(VideoOptions)["quality"].help)]


class Refusal(BaseModel):
    """Of a request; the detail says what is wrong and what to do."""

    detail: str


def create_app(
    queue: JobQueue,
    *,
    token: str | None = None,
    is_local: bool = True,
    names: Sequence[str] = (),
    root_path: str = "",
    proxies: Sequence[Network] = (),
) -> FastAPI:
    """Make the application.

    Args:
        queue: does the work; it is started and stopped with the application.
        token: what clients must send as `Authorization: Bearer <token>`, everywhere but for the page and
            `/health`; None asks for nothing.
        is_local: answer only under this machine's own names, which keeps foreign web pages from reaching the
            server through a name of theirs.
        names: further host names to answer under, such as that of a proxy.
        root_path: below which a proxy publishes the application; see `isomer.serve.proxy.BehindProxy`.
        proxies: whose forwarded headers are believed; likewise.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await queue.start()
        try:
            yield
        finally:
            await queue.stop()

    app = FastAPI(
        title="Isomer",
        description="Zero-shot video object segmentation: submit a video, get the primary object's mask.",
        version=isomer.__version__,
        lifespan=lifespan,
        servers=[{"url": root_path}] if root_path else None,
        openapi_url=None,  # FastAPI's own route asks for no token
    )
    app.add_middleware(_Around, queue=queue)
    app.add_middleware(BehindProxy, root_path=root_path, proxies=proxies)
    app.add_exception_handler(InputError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_value)
    app.add_exception_handler(QueueFullError, _refuse_full)
    app.add_exception_handler(StorageFullError, _refuse_storage)
    app.add_exception_handler(Exception, _own_up)
    bearer = HTTPBearer(auto_error=False, description="Only where the server was given a token.")
    guarded = APIRouter(
        dependencies=[Depends(bearer), Depends(guard(token, is_local, names))],
        responses=_refusals({"default": "refused"}),
    )

    def found(job_id: str) -> Job:
        job = queue.get(job_id)
        if job is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, "no such job; it may have expired")
        return job

    def finished(job_id: str) -> Job:
        job = found(job_id)
        if job.state is not State.done:
            raise HTTPException(status.HTTP_409_CONFLICT, f"the job is {job.state.value}, not done")
        return job

    quality_by_default = QualityName(queue.options.quality)
    of_objects, of_project, of_preview, of_results = (
        Depends(_query(names, queue.options)) for names in (_OF_OBJECTS, _OF_PROJECT, _OF_PREVIEW, _OF_RESULTS)
    )

    @guarded.post(
        "/v1/jobs",
        status_code=status.HTTP_202_ACCEPTED,
        openapi_extra=_UPLOAD_SCHEMA,
        responses=_refusals(
            {
                400: "the form is broken",
                408: "the upload took too long",
                413: "the upload is too large",
                415: "not a form",
                422: "nothing that can be segmented, or beyond the limits",
                429: "the queue is full; try again after `Retry-After` seconds",
                507: "the storage is full",
            }
        ),
    )
    async def submit(request: Request, response: Response, quality: Quality = quality_by_default) -> Job:
        """Submit a video, or the frames of one, and get its job."""
        async with queue.upload() as (job, folder):
            job.quality = quality.value
            job.name = await receive(request, folder, queue.limits)
        response.headers["Location"] = f"{root_path}/v1/jobs/{job.id}"
        return found(job.id)

    @guarded.get("/v1/jobs/{job_id}")
    async def poll(job_id: str) -> Job:
        """Say how a job stands."""
        return found(job_id)

    @guarded.get(
        "/v1/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "the job, at every change"}},
    )
    async def events(job_id: str) -> StreamingResponse:
        """Stream a job as server-sent events, one at every change, until its state is final."""
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # nginx would keep them back
        return StreamingResponse(_events(queue, found(job_id)), media_type="text/event-stream", headers=headers)

    @guarded.delete("/v1/jobs/{job_id}", status_code=status.HTTP_204_NO_CONTENT)
    async def remove(job_id: str) -> None:
        """Stop a job, if it is not done, and remove it with all its files."""
        await queue.remove(found(job_id).id)

    @guarded.get("/v1/jobs/{job_id}/preview", response_class=FileResponse)
    async def preview(job_id: str, asked: dict[str, Any] = of_preview) -> FileResponse:
        """Fetch the video behind the page: each frame above its probability map, H.264."""
        return FileResponse(await queue.results.preview(finished(job_id), asked), media_type="video/mp4")

    @guarded.get("/v1/jobs/{job_id}/times", response_class=FileResponse)
    async def times(job_id: str) -> FileResponse:
        """Fetch the `times` of the frames, in seconds."""
        return FileResponse(queue.results.times(finished(job_id)), media_type="application/json")

    @guarded.get("/v1/jobs/{job_id}/objects", response_class=FileResponse)
    async def objects(job_id: str, asked: dict[str, Any] = of_objects) -> FileResponse:
        """List the objects that were found, as `isomer objects --json` does, each with a `thumbnail`, a data URL."""
        return FileResponse(await queue.results.objects(finished(job_id), asked), media_type="application/json")

    @guarded.post(
        "/v1/jobs/{job_id}/corrections",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=MARKS_SCHEMA,
        responses=_refusals(
            {
                400: "not JSON, or cut short",
                409: "the job is not done",
                413: "the correction is too large",
                422: "not a correction, of no frame of the video, or one too many",
                507: "the storage is full",
            }
        ),
    )
    async def correct(job_id: str, request: Request) -> Job:
        """Say of a frame what is of the object and what is not; objects, preview and results then follow it."""
        finished(job_id)
        said = await receive_marks(request, queue.limits)
        job = finished(job_id)  # still, after the wait
        await queue.correct(job, said)
        return job

    @guarded.delete(
        "/v1/jobs/{job_id}/corrections/last", responses=_refusals({409: "the job is not done, or has no correction"})
    )
    async def undo(job_id: str) -> Job:
        """Take the last correction back."""
        job = finished(job_id)
        if not job.corrections:
            raise HTTPException(status.HTTP_409_CONFLICT, "the job has no correction to undo")
        await queue.undo(job)
        return job

    @guarded.get("/v1/jobs/{job_id}/project", response_class=FileResponse)
    async def project(job_id: str, asked: dict[str, Any] = of_project) -> FileResponse:
        """Fetch a zip of the project, with which `isomer segment` and `isomer correct` go on beside the video."""
        job = finished(job_id)
        path = await queue.results.project(job, asked)
        return FileResponse(path, filename=f"{job.stem}_project.zip")

    @guarded.get(
        "/v1/jobs/{job_id}/results/{kind}",
        response_class=FileResponse,
        responses=_refusals(
            {
                409: "the job is not done",
                422: "no such kind, a bad value, or the result cannot be written",
                429: "too many results are being written",
                507: "the storage is full",
            }
        ),
    )
    async def result(
        job_id: str,
        kind: Kind,
        asked: dict[str, Any] = of_results,
    ) -> FileResponse:
        """Fetch a result, a video or a zip of PNGs; the first call for it waits until it is written."""
        job = finished(job_id)
        path = await queue.results.result(job, kind.value, asked)
        return FileResponse(path, filename=f"{job.stem}_{kind.value}{result_suffix(kind.value)}")

    @app.get("/health", responses={503: {"description": "jobs are not worked on"}})
    async def health() -> JSONResponse:
        """Say whether the server works."""
        if queue.is_alive:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "stopped"}, status.HTTP_503_SERVICE_UNAVAILABLE)

    @guarded.get("/metrics")
    async def metrics() -> Response:
        """Say the figures of the server in the text format of Prometheus."""
        return Response(queue.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @guarded.get("/openapi.json", include_in_schema=False)
    async def description() -> JSONResponse:
        return JSONResponse(app.openapi())

    @guarded.get("/example.mp4", response_class=FileResponse)
    async def example() -> FileResponse:
        """Fetch a video to try."""
        return FileResponse(await queue.results.example(), media_type="video/mp4")

    app.include_router(guarded)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _query(names: Sequence[str], options: VideoOptions) -> Callable[..., dict[str, Any]]:
    """Return a dependency that reads these options from the query, each by default as in `options`."""
    declared = options_of(VideoOptions)

    def asked(**values: Any) -> dict[str, Any]:
        return values

    asked.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(options, name),
                annotation=_parameter(name, declared[name]),
            )
            for name in names
        ]
    )
    return asked


def _parameter(name: str, said: Option) -> object:
    """Return the type of an option in a query, with its range."""
    if name == "background":  # never the name of a file, which would be the server's
        return Annotated[str, Query(pattern=f"^({PLAIN})$", description="what is behind the object in composites")]
    if said.kind is tuple:
        return Annotated[Sequence[str], Query(max_length=_PICKS, description=said.help)]
    if said.choices:
        return Annotated[Literal[said.choices], Query(description=said.help)]
    more: dict[str, Any] = {}
    if said.low is not None:
        more["gt" if said.is_open else "ge"] = said.low
    if said.high is not None:
        more["lt" if said.is_open else "le"] = said.high
    if said.kind is float:
        more["multiple_of"] = 0.01  # each is a file that is kept
    return Annotated[said.kind, Query(description=said.help, **more)]


def _refusals(reasons: Mapping[int | str, str]) -> dict[int | str, dict[str, Any]]:
    """Describe answers that are errors, by their status."""
    return {code: {"description": reason, "model": Refusal} for code, reason in reasons.items()}


async def _events(queue: JobQueue, job: Job | None) -> AsyncIterator[str]:
    said = None
    while job is not None:
        text = json.dumps(asdict(job))
        if text != said:
            said = text
            yield f"data: {text}\n\n"
        if job.state.is_final:
            return
        await asyncio.sleep(_EVENT_SECONDS)
        job = queue.get(job.id)


class _Around:
    """Counts and logs answers, and adds the headers that keep browsers careful."""

    def __init__(self, app: ASGIApp, queue: JobQueue) -> None:
        self._app = app
        self._metrics = queue.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.monotonic()

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "page")
                self._metrics.count_answer(scope["method"], route, message["status"])
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-cache")  # previews and results follow corrections
                self._log(scope, message["status"], time.monotonic() - start)
            await send(message)

        await self._app(scope, receive, send_more if scope["type"] == "http" else send)

    def _log(self, scope: Scope, code: int, seconds: float) -> None:
        """Log a request once its answer begins; one that only looks, such as a poll, only where much is to be told."""
        only_looks = scope["method"] in ("GET", "HEAD") and code < status.HTTP_400_BAD_REQUEST
        log_event(
            logging.DEBUG if only_looks else logging.INFO,
            "request",
            client=(scope["client"] or ("",))[0],
            method=scope["method"],
            path=scope["path"],
            status=code,
            ms=round(1000 * seconds),
        )


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status.HTTP_422_UNPROCESSABLE_CONTENT)


async def _refuse_value(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse(
        {"detail": f"{first['loc'][-1]}={first['input']}: {first['msg']}"}, status.HTTP_422_UNPROCESSABLE_CONTENT
    )


async def _refuse_full(*_: object) -> JSONResponse:
    return JSONResponse(
        {"detail": "the queue is full; try again in a while"},
        status.HTTP_429_TOO_MANY_REQUESTS,
        {"Retry-After": str(_RETRY_SECONDS)},
    )


async def _refuse_storage(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status.HTTP_507_INSUFFICIENT_STORAGE)


async def _own_up(*_: object) -> JSONResponse:
    return JSONResponse({"detail": OUR_FAULT}, status.HTTP_500_INTERNAL_SERVER_ERROR)
