"""One table of media types: every list of extensions, previews, thumbnails and groups follows from it."""

from PIL import Image

from medfiles.record_types.declared import RECORD_TYPES
from medfiles.record_types.media_types import BY_EXTENSION, GROUPS, MEDIA_TYPES, WITH_THUMBNAIL, group_of
from medfiles.sandbox.inspect.inspection import INSPECTORS
from medfiles.sandbox.inspect.signatures import NAMES, SIGNATURES
from medfiles.sandbox.render.tasks import previewer


def test_every_row_has_an_inspector_a_previewer_and_a_group() -> None:
    assert {row.inspector for row in MEDIA_TYPES} == set(INSPECTORS)
    assert {row.group for row in MEDIA_TYPES} == set(GROUPS)
    assert all(previewer(row.name) for row in MEDIA_TYPES)


def test_names_and_extensions_are_unique() -> None:
    assert len({row.name for row in MEDIA_TYPES}) == len(MEDIA_TYPES)
    assert len(BY_EXTENSION) == sum(len(row.extensions) for row in MEDIA_TYPES)


def test_a_media_type_has_thumbnails_if_its_previewer_draws() -> None:
    assert {row.name for row in MEDIA_TYPES if previewer(row.name).draw} == WITH_THUMBNAIL


def test_signatures_and_contents_are_ones_the_sandbox_recognises() -> None:
    Image.init()
    known = {kind for *_, kind in SIGNATURES} | {"bmp", "heic", "webp"}
    assert {row.signature for row in MEDIA_TYPES if row.signature} <= known
    assert {row.content for row in MEDIA_TYPES if row.content} <= set(NAMES)
    assert {row.decoder for row in MEDIA_TYPES if row.decoder} <= {*Image.OPEN, "HEIF"}


def test_record_types_accept_only_declared_extensions() -> None:
    assert {extension for kind in RECORD_TYPES for extension in kind.takes} == set(BY_EXTENSION)


def test_an_unknown_media_type_is_in_a_group_without_thumbnails() -> None:
    assert group_of("application/octet-stream") == "text"
    assert "image/x-unknown" not in WITH_THUMBNAIL
