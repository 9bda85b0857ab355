"""Derived pictures: made once, kept by hash, shown to whom the document is shown, gone with it."""

from io import BytesIO

from PIL import Image

from medfiles.renditions import recipe
from tests import samples
from tests.factories import World


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content), formats=["WEBP"])


def test_a_page_of_a_pdf_becomes_a_picture_of_the_wanted_width(world: World) -> None:
    file = world.attach(world.record(), content=samples.pdf(pages=3))
    picture = world.previews().picture(file.id, file.sha256, recipe(480), 3)
    content = b"".join(picture.read())
    assert len(content) == picture.size
    assert opened(content).size == (480, 680)
    world.assert_settled()


def test_a_photo_is_looked_at_and_shown(world: World) -> None:
    file = world.attach(world.record(), "photo.jpg", samples.jpeg(2000, 1500))
    look = world.previews().look(file.id)
    assert (look.kind, look.pages, look.width, look.height) == ("image", 1, 2000, 1500)
    assert opened(b"".join(world.previews().thumbnail(file.id).read())).size == (160, 120)
    world.assert_settled()


def test_a_picture_is_served_under_its_hash_and_may_be_kept_by_the_browser(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    address = f"/documents/files/{file.id}/pictures/{file.sha256}-{recipe(160)}/1.webp"
    answer = world.client().get(address)
    assert answer.status_code == 200
    assert answer.mimetype == "image/webp"
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert opened(answer.data).size == (64, 48)
