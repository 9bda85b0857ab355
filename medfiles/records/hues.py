"""The color of a new patient."""

from sqlalchemy import ColumnElement, func, select

from medfiles.database.session import db
from medfiles.models import Patient
from medfiles.record_types.fields import HUES


def least_used(among: ColumnElement[bool]) -> int:
    """Return the hue that the fewest of these patients have, the first of several."""
    query = select(Patient.hue, func.count(Patient.id)).where(among).group_by(Patient.hue)
    used = dict(db.session.execute(query).all())
    return min((hue for hue, _ in HUES), key=lambda hue: used.get(hue, 0))
