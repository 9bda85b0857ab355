"""The sign-in page offers the demo account, but only to a browser on the machine itself."""

from typing import Any

import pytest
from lxml import html
from werkzeug.test import TestResponse

from medfiles.accounts import demo
from medfiles.accounts import service as accounts
from tests.support.factories import World

PASSWORD = "an invented long password"
HERE = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


@pytest.fixture
def demonstrated(world: World) -> World:
    accounts.create(demo.EMAIL, PASSWORD)
    demo.remember(world.app.config["MEDFILES_INSTANCE"], PASSWORD)
    return world


def page(world: World, **environ: Any) -> TestResponse:
    return world.client(None).get("/sign-in", environ_overrides={**HERE, **environ})


def test_demo_account_signs_in_with_one_button(demonstrated: World) -> None:
    client = demonstrated.client(None)
    shown = html.document_fromstring(client.get("/sign-in", environ_overrides=HERE).text)
    [form] = shown.cssselect(".mf-sign-demo")
    answer = client.post(form.get("action"), data=dict(form.form_values()), environ_overrides=HERE)
    assert (answer.status_code, answer.location) == (302, "/")
    assert demo.EMAIL in client.get("/account", environ_overrides=HERE).text


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "203.0.113.9"},
        {"REMOTE_ADDR": ""},
        {"HTTP_HOST": "records.example.org"},
        {"HTTP_X_FORWARDED_FOR": "203.0.113.9"},
        {"HTTP_VIA": "1.1 proxy"},
    ],
)
def test_demo_account_is_offered_to_no_other_machine(demonstrated: World, environ: dict[str, str]) -> None:
    assert PASSWORD in page(demonstrated).text
    assert PASSWORD not in page(demonstrated, **environ).text


def test_demo_account_is_not_offered_once_its_password_is_changed(demonstrated: World) -> None:
    accounts.set_password(demo.EMAIL, "another long password")
    assert "mf-sign-demo" not in page(demonstrated).text
