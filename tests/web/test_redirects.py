"""Where forms lead: a hostile `next` never leaves the site."""

from urllib.parse import urljoin, urlsplit

import pytest

from medfiles.accounts import service as accounts
from tests.support.factories import World, token_of

pytestmark = pytest.mark.database

HOSTILE = [
    "//evil.example",
    "///evil.example",
    r"/\evil.example",
    r"\\evil.example",
    r"\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "%2F%2Fevil.example",
    "/%2Fevil.example",
    "/%5Cevil.example",
    "%5C%5Cevil.example",
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "//evil.example@localhost",
    "javascript:alert(1)",
    "data:text/html,x",
]
EMAIL, PASSWORD = "ada@sample.example", "a long enough password"


def lands_on(location: str) -> str:
    """The origin a browser goes to: it strips controls and takes a backslash for a slash."""
    text = "".join(character for character in location if character >= " ").strip().replace("\\", "/")
    found = urlsplit(urljoin("http://localhost/sign-in", text))
    return f"{found.scheme}://{found.netloc}"


@pytest.mark.parametrize("target", HOSTILE)
def test_document_form_with_hostile_next_stays_on_the_site(world: World, target: str) -> None:
    file = world.attach(world.record(), "letter.txt")
    by = world.browser(htmx=False)
    answer = by.post(f"/documents/files/{file.id}/edit", file_name="letter.txt", next=target)
    assert answer.status_code == 303
    assert lands_on(answer.headers["Location"]) == "http://localhost"


@pytest.mark.parametrize("target", HOSTILE)
def test_record_form_with_hostile_next_stays_on_the_site(world: World, target: str) -> None:
    record = world.record()
    by = world.browser(htmx=False)
    answer = by.post(f"/visit/{record.id}/restore", next=target)
    assert answer.status_code in (303, 409)
    assert lands_on(answer.headers.get("Location", "/")) == "http://localhost"


@pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
@pytest.mark.parametrize("target", HOSTILE)
def test_sign_in_with_hostile_next_stays_on_the_site(world: World, target: str) -> None:
    accounts.create(EMAIL, PASSWORD)
    client = world.client(None)
    fields = {"csrf_token": token_of(client), "email": EMAIL, "password": PASSWORD}
    answer = client.post("/sign-in", query_string={"next": target}, data=fields)
    assert answer.status_code in (200, 302)  # the form once more, or a redirect
    assert lands_on(answer.headers.get("Location", "/")) == "http://localhost"
