"""Every address is one that docs/design/contract.md names; what later versions add stands there already."""

import re
from collections.abc import Callable

from flask import Flask

from tests.support.factories import World

WIDGET = """
GET /documents/{type}/{id}
GET /documents/{type}/new
GET /documents/{type}/{id}/upload-zone
GET /documents/{type}/{id}/list
GET /documents/{type}/{id}/trash
GET /documents/{type}/{id}/badge
GET /documents/{type}/badges
POST /documents/{type}/{id}/files
POST /documents/{type}/{id}/bulk
GET /documents/files/{file}/download
GET /documents/files/{file}/preview
GET /documents/files/{file}/print
GET /documents/files/{file}/pictures/{sha256}-{recipe}/{page}.webp
POST /documents/files/{file}/edit
POST /documents/files/{file}/delete
POST /documents/files/{file}/restore
POST /documents/files/{file}/purge
"""
PAGES = """
GET /
GET POST /patients/new
GET /patients/{id}
GET POST /patients/{id}/edit
GET POST /patients/{id}/people
GET /patients/{id}/trash
GET /patients/{id}/activity
GET /patients/{id}/history
POST /patients/{id}/history/{change}/restore
GET /patients/{id}/{plural}
GET POST /patients/{id}/{plural}/new
GET /{type}/{id}
GET POST /{type}/{id}/edit
POST /{type}/{id}/delete
POST /{type}/{id}/restore
GET /{type}/{id}/history
POST /{type}/{id}/history/{change}/restore
GET /account
GET /status
GET /healthz
GET /readyz
GET /metrics
"""
API = """
GET /api/v1/openapi.json
GET /api/v1/docs
GET POST /api/v1/patients
GET PUT /api/v1/patients/{patient}
GET POST /api/v1/patients/{patient}/{type}
GET PUT DELETE /api/v1/{type}/{id}
POST /api/v1/{type}/{id}/restore
GET POST /api/v1/patients/{patient}/shares
DELETE /api/v1/shares/{id}
GET POST /api/v1/{type}/{id}/files
GET DELETE /api/v1/files/{file}
GET /api/v1/files/{file}/download
GET /api/v1/files/{file}/preview
GET /api/v1/files/{file}/thumbnail
PUT /api/v1/files/{file}/metadata
POST /api/v1/files/{file}/restore
POST /api/v1/files/{file}/purge
POST /api/v1/files/batch-counts
POST /api/v1/files/bulk
GET /api/v1/files/archive
GET /api/v1/lab-result-files/{id}/download
DELETE /api/v1/lab-result-files/{id}
"""
# What the contract sums up as "/account (password, second factor, tokens, sessions)", signing in and out, and files.
ACCOUNT = """
GET POST /sign-in
GET POST /sign-in/code
GET POST /sign-in/method
GET POST /sign-in/rescue
POST /sign-out
POST /account/sign-out
GET POST /account/password
GET POST /account/verify
GET POST /account/second-step
POST /account/second-step/{token}
POST /account/sessions/{id}/end
GET POST /account/tokens/new
POST /account/tokens/{id}/revoke
GET /static/{path}
GET /static/@{version}/{path}
GET /static/security/{path}
"""


def normal(path: str) -> str:
    return re.sub(r"<[^>]+>|\{[^}]+\}", "*", path)


def listed(*texts: str) -> set[tuple[str, str]]:
    lines = (line.split() for text in texts for line in text.strip().splitlines())
    return {(method, normal(path)) for *methods, path in lines for method in methods}


def offered(app: Flask) -> set[tuple[str, str]]:
    rules = app.url_map.iter_rules()
    return {(method, normal(rule.rule)) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}


def test_no_address_is_offered_that_the_contract_does_not_name(world: World) -> None:
    assert offered(world.app) - listed(WIDGET, PAGES, API, ACCOUNT) == set()


def test_the_widget_the_pages_and_the_account_are_offered(world: World) -> None:
    assert listed(WIDGET, PAGES, ACCOUNT) - offered(world.app) == set()


def test_registration_adds_its_own_address_and_no_other(make_world: Callable[..., World]) -> None:
    closed, opened = make_world(), make_world(REGISTRATION="1")
    assert offered(opened.app) - offered(closed.app) == {("GET", "/register"), ("POST", "/register")}
