"""Forms built from the declared fields of a record type."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, Form, FormField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from medfiles.errors import MedfilesError, Rejected
from medfiles.http import parameters
from medfiles.record_types.fields import TEXT_LIMIT, Field

MAX_KEY = 64  # characters


class _RecordForm(FlaskForm):  # type: ignore[misc]
    class Meta:
        csrf = False  # checked in http.security before the view


def form_for(
    fields: Sequence[Field], values: Mapping[str, Any] | None = None, prefix: str = "", *, bound: bool = True
) -> FlaskForm:
    """Return a form of these fields, filled with `values` until it is submitted; unless `bound`, also then."""
    members = {field.name: _control(field) for field in fields}
    keywords = {} if bound else {"formdata": None}
    return type("RecordForm", (_RecordForm,), members)(data=values, prefix=prefix, **keywords)


def values_of(form: FlaskForm, fields: Sequence[Field], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the input; parts of an object that the form does not show are kept."""
    submitted: dict[str, Any] = {field.name: form[field.name].data for field in fields}
    for field in fields:
        if field.kind == "object":
            kept = (before or {}).get(field.name) or {}
            submitted[field.name] = {**kept, **submitted[field.name]}
    return submitted


def add_errors(form: FlaskForm, error: MedfilesError) -> None:
    """Put error messages next to their fields."""
    fields = error.fields if isinstance(error, Rejected) else {}
    for name, message in fields.items():
        form[name].errors = [message]
    if not fields:
        form.form_errors.append(error.message)


def submitted(names: Sequence[str], prefix: str = "") -> dict[str, str]:
    """Return those of these fields that were sent, with normalized line ends."""
    sent = {name: request.form[prefix + name] for name in names if prefix + name in request.form}
    return {name: value.replace("\r\n", "\n") for name, value in sent.items()}


def creation_key() -> str:
    """Return the key that makes repeated submissions create one record."""
    key = request.form.get("creation_key") or uuid.uuid4().hex
    if not (len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise Rejected("creation_key must be up to 64 printable ASCII characters.")
    return key


def marked_for_trash() -> list[int]:
    """Return ids of documents that a record's form marks for the trash (`remove`)."""
    ids = parameters.read_ids(request.form.getlist("remove"))
    if ids is None:
        raise Rejected("remove must contain document IDs.")
    return ids


def _control(field: Field) -> Any:
    return CONTROLS[field.kind](field)


def _validators(field: Field, limit: int) -> list[Any]:
    needed = InputRequired(field.missing) if field.required else Optional()
    return [needed, Length(max=limit, message=f"{field.label} can be up to {limit:,} characters long.")]


def _string(field: Field) -> StringField:
    keywords = {"maxlength": field.limit, "autocomplete": "off"}
    if field.choices:
        keywords["list"] = f"mf-choices-{field.name}"
    return StringField(field.label, _validators(field, field.limit), description=field.hint, render_kw=keywords)


def _text(field: Field) -> TextAreaField:
    return TextAreaField(field.label, _validators(field, TEXT_LIMIT), description=field.hint, render_kw={"rows": 3})


def _date(field: Field) -> DateField:
    needed = InputRequired(field.missing) if field.required else Optional()
    return DateField(
        field.label, [needed], description=field.hint, render_kw={"min": "1850-01-01", "max": "2200-12-31"}
    )


def _boolean(field: Field) -> BooleanField:
    return BooleanField(field.label, description=field.hint)


def _object(field: Field) -> "FormField[Form]":
    parts = {name: _string(Field(name, label)) for name, label in field.parts}
    return FormField(type("PartsForm", (Form,), parts), field.label, description=field.hint)


CONTROLS = {"string": _string, "text": _text, "date": _date, "boolean": _boolean, "object": _object}
