"""Create SMART Health Links for the current actor, and wait for a moment until they can be opened."""

from dataclasses import dataclass

from medfiles.errors import Conflict
from medfiles.http.current import smart_links
from medfiles.http.links import links_off, smart_address, with_viewer
from medfiles.smart_links import building
from medfiles.smart_links.service import NewSmartLink


@dataclass(frozen=True)
class Created:
    """A new link. `address` also opens in a browser; `is_ready`: its documents have been encrypted."""

    made: NewSmartLink
    address: str
    is_ready: bool


def create(link_id: int, kind: str, *, each_document: bool) -> Created:
    """Create a link. Raises Conflict if this installation has no public address."""
    if off := links_off():
        raise Conflict(off)
    made = smart_links().create_smart(link_id, kind, smart_address(), each_document=each_document)
    return Created(made, with_viewer(made.text), building.wait(made.smart.id))
