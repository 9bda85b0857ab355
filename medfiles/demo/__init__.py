"""The demo family: four invented people with their records, and documents that are really generated.

Pure data and generators; the same `today` always gives the same bytes.
"""

from datetime import date

from medfiles.demo.adults import martin, nora
from medfiles.demo.base import DemoDocument, DemoPatient, DemoRecord
from medfiles.demo.children import ella, theo

__all__ = ["DemoDocument", "DemoPatient", "DemoRecord", "family"]


def family(today: date | None = None) -> tuple[DemoPatient, ...]:
    """Two adults and two children; every date keeps its distance from `today`: the family never ages."""
    day = today or date.today()
    return nora(day), martin(day), ella(day), theo(day)
