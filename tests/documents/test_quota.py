"""How much an account's patients may have: told before anything is read, kept to however many arrive at once."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from medfiles import config
from medfiles.database.session import db
from medfiles.documents import quota
from medfiles.errors import OverQuota
from medfiles.models import Patient, Visit
from tests.http.test_rate_limits import Untouched
from tests.support import samples
from tests.support.factories import World

HELPER = "max@sample.example"
LETTER = b"x" * 1000


def test_what_does_not_fit_is_refused_with_how_much_is_used(make_world: Callable[..., World]) -> None:
    world = make_world(QUOTA="2500")
    visit = world.record()
    for name in ("a.txt", "b.txt"):
        world.attach(visit, name, LETTER)
    with pytest.raises(OverQuota, match="1.95 KB of 2.44 KB"):
        world.attach(visit, "c.txt", LETTER)
    assert len(world.files()) == 2
    world.assert_settled()


@pytest.mark.database
def test_of_many_at_once_only_as_many_fit_as_there_is_room_for(make_world: Callable[..., World]) -> None:
    world = make_world(QUOTA="10500")
    patient = world.patient()
    visits = [int(world.record(patient=patient).id) for _ in range(8)]

    def send(number: int) -> bool:
        with world.app.app_context():
            try:
                world.attach(db.session.get_one(Visit, visits[number % 8]), f"{number}.txt", LETTER)
            except OverQuota:
                return False
            return True

    with ThreadPoolExecutor(8) as pool:
        stored = sum(pool.map(send, range(32)))
    assert (stored, len(world.files())) == (10, 10)
    world.assert_settled()


def test_what_a_caregiver_adds_counts_for_the_owner(make_world: Callable[..., World]) -> None:
    world = make_world(QUOTA="1500")
    patient = world.patient()
    world.share(patient, HELPER, "edit")
    visit = world.record(patient=patient)
    world.attach(visit, "a.txt", LETTER, email=HELPER)
    with pytest.raises(OverQuota):
        world.attach(visit, "b.txt", LETTER)
    world.attach(world.record(patient=world.patient(HELPER), email=HELPER), "own.txt", LETTER, email=HELPER)


def test_the_trash_counts_until_it_is_emptied_so_restoring_and_retrying_need_no_room(
    make_world: Callable[..., World],
) -> None:
    world = make_world(QUOTA="1000")
    visit, documents = world.record(), world.documents()
    first = world.attach(visit, "a.txt", LETTER, idempotency_key="k").id
    assert world.attach(visit, "a.txt", LETTER, idempotency_key="k").id == first
    documents.trash(first)
    assert documents.restore(first).deleted_at is None
    documents.trash(first)
    with pytest.raises(OverQuota):
        world.attach(visit, "b.txt", LETTER)
    documents.purge(first)
    world.attach(visit, "b.txt", LETTER)


def test_what_can_never_fit_is_refused_before_it_is_read(make_world: Callable[..., World]) -> None:
    world = make_world(QUOTA="1 MB")
    visit, browser, body = world.record(), world.browser(), Untouched()
    headers = {"X-CSRFToken": browser.token, "HX-Request": "true", "Content-Type": "application/octet-stream"}
    environ = {"wsgi.input": body, "CONTENT_LENGTH": str(2 * 1024**2)}
    path = f"/documents/visit/{visit.id}/files"
    answer = browser.client.post(path, headers=headers, environ_overrides=environ)
    assert (answer.status_code, body.count) == (409, 0)
    assert "not enough storage left" in answer.text


def test_of_several_in_one_form_those_that_fit_are_added(make_world: Callable[..., World]) -> None:
    world = make_world(QUOTA=str(len(samples.pdf(1)) + 100))
    visit, browser = world.record(), world.browser(htmx=False)
    data: dict[str, Any] = {"file": [(io.BytesIO(samples.pdf(1)), "a.pdf"), (io.BytesIO(samples.pdf(2)), "b.pdf")]}
    answer = browser.client.post(
        f"/documents/visit/{visit.id}/files?csrf_token={browser.token}", data=data, follow_redirects=True
    )
    assert [file.file_name for file in world.files()] == ["a.pdf"]
    assert "not enough storage left" in answer.text


def test_the_account_page_says_how_much_is_used_where_there_is_an_end(make_world: Callable[..., World]) -> None:
    world = make_world(QUOTA="2 MB")
    world.attach(world.record(), "a.txt", b"x" * 1024 * 1024)
    assert "1 MB of 2 MB used" in world.client().get("/account").text
    assert "Storage used" not in make_world().client().get("/account").text


def test_only_ones_own_patients_are_counted(world: World) -> None:
    theirs = world.patient(HELPER)
    world.share(theirs, "nora@sample.example", "edit")
    world.attach(world.record(patient=theirs, email=HELPER), "a.txt", LETTER, email=HELPER)
    own = db.session.get_one(Patient, theirs.id).user_id
    assert quota.used_bytes(own) == 1000
    assert quota.used_bytes(world.user().id) == 0


def test_amounts_are_written_as_people_do() -> None:
    sizes = {"0": 0, "1500": 1500, "2 kb": 2048, "10GB": 10 * 1024**3, "1T": 1024**4, "3 MB": 3 * 1024**2}
    assert {text: config.amount(text) for text in sizes} == sizes
    for text in ("", "-1", "ten", "1.5 GB", "10 XB", "GB", "1" * 20):
        with pytest.raises(ValueError, match="must be a number"):
            config.amount(text)
