"""One example of everything that is sent and answered, from the models that check it."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel

from medfiles.api.schemas import File, Files, Preview
from medfiles.api.toolkit import Shape, models
from medfiles.record_types.document_fields import UPLOAD_FIELDS

BYTES = "%PDF-1.7 …"
BINARY: Mapping[str, Any] = {"bytes": BYTES, "zip": "PK …", "picture": "RIFF … WEBP", "preview": "RIFF … WEBP"}
FORM: Mapping[str, Any] = {"file": BYTES, **{field.name: field.example for field in UPLOAD_FIELDS if field.example}}


def model_of(shape: Shape) -> type[BaseModel]:
    if isinstance(shape, type):
        return shape
    own = models()
    known: dict[str, type[BaseModel]] = {"records": own.records, "record input": own.record_input}
    known |= {
        "preview": Preview,
        "file": File,
        "upload": File,
        "files": Files,
        "patient": own.patient_input,
        "record": own.record,
    }
    return known[shape]


def of(shape: Shape) -> dict[str, Any]:
    """By name; more than one where it may be one of several models."""
    return _of(model_of(shape))


def _of(model: type[BaseModel]) -> dict[str, Any]:
    if not issubclass(model, RootModel):
        extra: Any = model.model_config["json_schema_extra"]
        return {model.__name__: extra["examples"][0]}
    inside = model.model_fields["root"].annotation
    if get_origin(inside) is list:
        return {name: [value] for name, value in _of(get_args(inside)[0]).items()}
    members = get_args(inside) if get_origin(inside) in (Union, UnionType) else (inside,)
    return {name: value for member in members for name, value in _of(member).items()}


def shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """As a media type of the document says it."""
    if len(values) == 1:
        return {"example": next(iter(values.values()))}
    return {"examples": {name: {"value": value} for name, value in values.items()}}
