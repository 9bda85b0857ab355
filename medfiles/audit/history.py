"""Find and name the fields that an edit changed."""

from collections.abc import Sequence

from medfiles.i18n import gettext, ngettext
from medfiles.models import AuditEvent
from medfiles.record_types.declared import Registry
from medfiles.record_types.document_fields import DOCUMENT_FIELDS
from medfiles.record_types.fields import PATIENT_FIELDS, Field

MOST_NAMED = 3


def changed_fields(event: AuditEvent, registry: Registry) -> Sequence[Field]:
    """Return the fields that this event changed, in declared order, followed by those no longer declared."""
    names = (event.details or {}).get("changed") or ()
    declared = [field for field in _declared(event, registry) if field.name in names]
    known = {field.name for field in declared}
    return [*declared, *(Field(name, name.replace("_", " ").capitalize()) for name in names if name not in known)]


def labels(event: AuditEvent, registry: Registry) -> str:
    """Return the labels of the changed fields as text, such as "Notes and Location"; "" if there are none."""
    every = [field.label for field in changed_fields(event, registry)]
    named, left = every[:MOST_NAMED], len(every) - MOST_NAMED
    if left > 0:
        named.append(ngettext("%(num)s more", "%(num)s more", left))
    if len(named) < 2:
        return "".join(named)
    return gettext("%(fields)s and %(last)s", fields=", ".join(named[:-1]), last=named[-1])


def _declared(event: AuditEvent, registry: Registry) -> Sequence[Field]:
    if event.file_id is not None:
        return DOCUMENT_FIELDS
    if event.entity_type is None:
        return PATIENT_FIELDS
    return registry[event.entity_type].fields if event.entity_type in registry else ()
