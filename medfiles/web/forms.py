"""HTML forms made from the fields a kind of record declares, so that a new kind needs no form of its own."""

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

LONGEST_KEY = 64  # characters


class _RecordForm(FlaskForm):  # type: ignore[misc]
    class Meta:
        csrf = False  # the gate has checked the token before any view runs


def form_for(fields: Sequence[Field], values: Mapping[str, Any] | None = None, prefix: str = "") -> FlaskForm:
    """A form of these fields, filled with `values` until it was sent."""
    members = {field.name: _control(field) for field in fields}
    return type("RecordForm", (_RecordForm,), members)(data=values, prefix=prefix)


def values_of(form: FlaskForm, fields: Sequence[Field], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What was entered; parts of an object that the form does not show are kept as they were."""
    entered: dict[str, Any] = {field.name: form[field.name].data for field in fields}
    for field in fields:
        if field.kind == "object":
            kept = (before or {}).get(field.name) or {}
            entered[field.name] = {**kept, **entered[field.name]}
    return entered


def explain(form: FlaskForm, error: MedfilesError) -> None:
    """Put the service's sentences beside the fields they are about."""
    fields = error.fields if isinstance(error, Rejected) else {}
    for name, message in fields.items():
        form[name].errors = [message]
    if not fields:
        form.form_errors.append(error.message)


def entered(names: Sequence[str], prefix: str = "") -> dict[str, str]:
    """Those of these fields that were sent, with line ends as they are stored."""
    sent = {name: request.form[prefix + name] for name in names if prefix + name in request.form}
    return {name: value.replace("\r\n", "\n") for name, value in sent.items()}


def creation_key() -> str:
    """What a form for a new record is known by, however often it is sent; made when it is first shown."""
    key = request.form.get("creation_key") or uuid.uuid4().hex
    if not (len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise Rejected("creation_key must be up to 64 printable ASCII characters.")
    return key


def marked() -> list[int]:
    """Documents that the form of a record marks for the trash: its fields `remove`."""
    ids = parameters.read_ids(request.form.getlist("remove"))
    if ids is None:
        raise Rejected("remove must contain document IDs.")
    return ids


def _control(field: Field) -> Any:
    return CONTROLS[field.kind](field)


def _checks(field: Field, limit: int) -> list[Any]:
    needed = InputRequired(field.missing) if field.required else Optional()
    return [needed, Length(max=limit, message=f"{field.label} can be up to {limit:,} characters long.")]


def _string(field: Field) -> StringField:
    keywords = {"maxlength": field.limit, "autocomplete": "off"}
    if field.choices:
        keywords["list"] = f"mf-choices-{field.name}"
    return StringField(field.label, _checks(field, field.limit), description=field.hint, render_kw=keywords)


def _text(field: Field) -> TextAreaField:
    return TextAreaField(field.label, _checks(field, TEXT_LIMIT), description=field.hint, render_kw={"rows": 3})


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
