"""Forms built from declared fields, such as those of a record type."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flask import request
from flask_wtf import FlaskForm
from wtforms import (  # type: ignore[attr-defined]  # SelectChoice is newer than its stubs
    BooleanField,
    DateField,
    Form,
    FormField,
    RadioField,
    SelectChoice,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, Optional

from medfiles.errors import Conflict, Rejected
from medfiles.http import parameters
from medfiles.http.errors import status_of
from medfiles.i18n import gettext
from medfiles.record_types.fields import TEXT_LIMIT, Field

T = TypeVar("T")


class ServiceForm(FlaskForm):  # type: ignore[misc]
    """A form that shows a service's errors next to its fields."""

    error_status: int | None = None  # status for the service's error, even if no field has one

    class Meta:
        csrf = False  # checked in http.security before the view

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        for field in self:
            field.label.text, field.description = gettext(field.label.text), gettext(field.description)
            if hasattr(field, "iter_choices"):
                field.choices = [SelectChoice(one.value, gettext(one.label)) for one in field.choices]

    def validate(self, *args: Any, **keywords: Any) -> bool:
        is_valid: bool = super().validate(*args, **keywords)
        for field in self:
            if field.errors and field.type != "FormField":
                field.errors = [gettext(error) for error in field.errors]
        return is_valid

    @property
    def http_status(self) -> int:
        return self.error_status or (422 if self.errors else 200)

    def submit(self, save: Callable[[], T]) -> T | None:
        """Return the result of `save`; None if the form was not submitted or has errors."""
        if not self.validate_on_submit():
            return None
        try:
            return save()
        except (Rejected, Conflict) as error:
            fields = error.fields if isinstance(error, Rejected) else {}
            for name, message in fields.items():
                self[name].errors = [message]
            if not fields:
                self.form_errors.append(error.message)
            self.error_status = status_of(error)
            return None


def form_for(
    fields: Sequence[Field], values: Mapping[str, Any] | None = None, prefix: str = "", *, bound: bool = True
) -> ServiceForm:
    """Return a form with these fields, filled with `values`.

    Submitted values take precedence unless `bound` is False.
    """
    members = {field.name: CONTROLS[field.kind](field) for field in fields}
    keywords = {} if bound else {"formdata": None}
    form: ServiceForm = type("RecordForm", (ServiceForm,), members)(data=values, prefix=prefix, **keywords)
    return form


def values_of(form: FlaskForm, fields: Sequence[Field], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the submitted values, keeping any parts of an object that the form does not show."""
    submitted: dict[str, Any] = {field.name: form[field.name].data for field in fields}
    for field in fields:
        if field.kind == "object":
            kept = (before or {}).get(field.name) or {}
            submitted[field.name] = {**kept, **submitted[field.name]}
    return submitted


def submitted(names: Sequence[str], prefix: str = "") -> dict[str, str]:
    """Return the submitted values of these fields, with normalized line endings. Absent fields are left out."""
    sent = {name: request.form[prefix + name] for name in names if prefix + name in request.form}
    return {name: value.replace("\r\n", "\n") for name, value in sent.items()}


def creation_key() -> str:
    """Return the key that ensures that repeated submissions create only one record."""
    return parameters.opaque_key("creation_key", request.form.get("creation_key") or uuid.uuid4().hex, 64)


def marked_for_trash() -> list[int]:
    """Return the ids of the documents marked for the trash in a record's form (`remove`)."""
    ids = parameters.read_ids(request.form.getlist("remove"))
    if ids is None:
        raise Rejected(gettext("remove must contain document IDs."))
    return ids


def _validators(field: Field, limit: int | None = None) -> list[Any]:
    needed = InputRequired(field.missing) if field.required else Optional()
    if limit is None:
        return [needed]
    message = gettext("%(label)s can be up to %(limit)s characters long.", label=field.label, limit=f"{limit:,}")
    return [needed, Length(max=limit, message=message)]


def _string(field: Field) -> StringField:
    keywords = {"maxlength": field.limit, "autocomplete": "off"}
    if field.choices:
        keywords["list"] = f"mf-choices-{field.name}"
    return StringField(field.label, _validators(field, field.limit), description=field.hint, render_kw=keywords)


def _text(field: Field) -> TextAreaField:
    return TextAreaField(field.label, _validators(field, TEXT_LIMIT), description=field.hint, render_kw={"rows": 3})


def _date(field: Field) -> DateField:
    years = {"min": "1850-01-01", "max": "2200-12-31"}
    return DateField(field.label, _validators(field), description=field.hint, render_kw=years)


def _boolean(field: Field) -> BooleanField:
    return BooleanField(field.label, description=field.hint)


def _object(field: Field) -> "FormField[Form]":
    parts = {name: _string(Field(name, label)) for name, label in field.parts}
    return FormField(type("PartsForm", (Form,), parts), field.label, description=field.hint)


def _choice(field: Field) -> RadioField:
    return RadioField(
        field.label,
        _validators(field),
        description=field.hint,
        choices=[SelectChoice(number, gettext(label)) for number, label in field.options],
        coerce=int,
    )


CONTROLS = {
    "string": _string,
    "text": _text,
    "date": _date,
    "boolean": _boolean,
    "object": _object,
    "choice": _choice,
}
