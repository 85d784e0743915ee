"""What clients say of frames: as JSON, checked before anything relies on it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import HTTPException, Request, status
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from isomer.errors import brief
from isomer.serve.options import Limits
from isomer.serve.upload import receive_bytes

_POINTS = 64
_BYTES = 2**14

_Share = Annotated[float, Field(ge=0, le=1)]
_Points = Annotated[list[tuple[_Share, _Share]], Field(max_length=_POINTS)]


class Marks(BaseModel):
    """A correction: what a person says of one frame; see `isomer.segment.objects.corrections`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    frame: int = Field(ge=0, description="index of the frame")
    add: _Points = Field([], description="points x, y that are of the object, as shares of the frame's sides")
    remove: _Points = Field([], description="points that are not")
    box: tuple[_Share, _Share, _Share, _Share] | None = Field(
        None, description="x, y, width and height, as shares of the frame, beyond which the object does not reach"
    )
    number: Annotated[int, Field(ge=1, le=255)] | None = Field(
        None, description="the object that is meant, of those at the threshold of a result; without, the nearest"
    )

    @model_validator(mode="after")
    def _says_something(self) -> Marks:
        if not (self.add or self.remove or self.box):
            raise PydanticCustomError("empty", "says nothing; give points to add or to remove, or a box")
        if self.box is not None:
            x, y, width, height = self.box
            if not (width > 0 and height > 0 and x + width <= 1 and y + height <= 1):
                raise PydanticCustomError("box", "its box is not within the frame; give x, y, width and height")
        return self


MARKS_SCHEMA = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Marks.model_json_schema()}}}
}


async def receive_marks(request: Request, limits: Limits) -> dict[str, Any]:
    """Read a correction, as `Correction.of` takes it.

    Raises:
        HTTPException: 400 no JSON, 408 too slow, 413 too large, 422 not a correction.
    """
    content = await receive_bytes(request, _BYTES, limits.upload_seconds)
    try:
        json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, f"not JSON ({brief(error)}); send a correction") from error
    try:
        return Marks.model_validate_json(content).model_dump(mode="json", exclude_defaults=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "correction"
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, f"{where}: {first['msg']}") from error
