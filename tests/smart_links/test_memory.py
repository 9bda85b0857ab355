"""Large documents: the size that a SMART Health Link can hold, and the memory that encrypting them takes."""

import hashlib
import tracemalloc

import pytest

from medfiles.database.session import transaction
from medfiles.errors import Rejected
from medfiles.models import EntityFile
from medfiles.smart_links import rules
from tests.smart_links.doubles import row_of
from tests.smart_links.doubles import told as told
from tests.support import samples
from tests.support.factories import Smart, World

MEGABYTE = 1024 * 1024


def large(world: World, size: int) -> EntityFile:
    """A PDF of this many bytes."""
    file, content = world.attach(world.record("lab-result"), "Scan.pdf"), samples.pdf()
    content += b"%" * (size - len(content))
    (world.uploads / file.file_path).write_bytes(content)
    with transaction() as session:
        row: EntityFile = session.get_one(EntityFile, file.id)
        row.file_size, row.sha256 = size, hashlib.sha256(content).hexdigest()
    return row


def test_memory_does_not_grow_with_the_documents(world: World) -> None:
    link = world.link(large(world, rules.MOST_BYTES), allow_download=True).link
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    tracemalloc.start()
    try:
        world.parts.smart_link_builder.build(new.smart.id)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MEGABYTE
    assert (row_of(Smart(new.smart.id, new.text)).size or 0) > rules.MOST_BYTES


def test_more_than_15_megabytes_are_refused(world: World) -> None:
    link = world.link(large(world, rules.MOST_BYTES + 1), allow_download=True).link
    with pytest.raises(Rejected):
        world.smart(link)
