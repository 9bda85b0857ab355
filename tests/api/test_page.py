"""The page about the API: everything of the document is on it, and every link on it leads somewhere."""

import lxml.html
import pytest
from flask.testing import FlaskClient

from medfiles.api.error_examples import EXAMPLES
from medfiles.api.openapi import openapi
from tests.support.factories import World


@pytest.fixture
def reader(world: World) -> FlaskClient:
    """Nobody in particular."""
    return world.client(None)


@pytest.fixture
def page(reader: FlaskClient) -> lxml.html.HtmlElement:
    answer = reader.get("/api/v1/docs")
    assert answer.status_code == 200
    return lxml.html.fromstring(answer.get_data(as_text=True))


def ids(page: lxml.html.HtmlElement) -> list[str]:
    return [str(name) for name in page.xpath("//@id")]


def test_every_operation_stands_there_with_its_address_and_a_line_for_a_terminal(
    world: World, page: lxml.html.HtmlElement
) -> None:
    with world.app.test_request_context():
        paths = openapi(world.app)["paths"]
    sections = {one.text_content().strip(): one for one in page.xpath("//*[@class='mf-op-path']")}
    offered = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {" ".join(words.split()).removesuffix(" older path") for words in sections} == offered
    lines = [one.text_content() for one in page.xpath("//*[starts-with(@id, 'op-')]//figure[1]//pre")]
    assert len(lines) == len(offered)
    assert all(line.startswith("curl ") and "$TOKEN" in line for line in lines)


def test_every_error_code_has_the_place_that_problems_link_to(page: lxml.html.HtmlElement) -> None:
    places = {example.refusal.problem["type"] for example in EXAMPLES.values()}
    assert {f"/api/v1/docs#{name}" for name in ids(page)} >= places
    assert len(places) > 25


def test_every_model_is_shown_with_its_fields(world: World, page: lxml.html.HtmlElement) -> None:
    with world.app.test_request_context():
        schemas = openapi(world.app)["components"]["schemas"]
    for name, schema in schemas.items():
        [shown] = page.xpath(f"//*[@id='model-{name.lower()}']")
        fields = [one.text_content() for one in shown.xpath(".//dt/code")]
        assert fields == list(schema.get("properties", {}))


def test_the_fields_of_a_body_stand_with_its_operation(page: lxml.html.HtmlElement) -> None:
    [bulk] = page.xpath("//*[@id='op-change-many']")
    fields = [one.text_content() for one in bulk.xpath(".//dt/code")]
    assert fields == ["action", "file_ids", "category", "document_date", "to_type", "to_id"]
    assert "application/json or application/x-www-form-urlencoded: Metadata" in " ".join(
        page.xpath("//*[@id='op-edit']")[0].text_content().split()
    )


def test_no_place_has_two_names_and_every_link_leads_to_one(page: lxml.html.HtmlElement) -> None:
    names = ids(page)
    assert len(names) == len(set(names))
    links = {str(link)[1:] for link in page.xpath("//a/@href") if link.startswith("#")}
    assert len(links) > 80
    assert links <= {*names}


def test_the_page_needs_no_script_and_nothing_from_elsewhere(page: lxml.html.HtmlElement) -> None:
    assert page.xpath("//script") == []
    assert {str(link)[0] for link in page.xpath("//@href | //@src")} <= {"/", "#"}


def test_reading_it_begins_no_session(reader: FlaskClient) -> None:
    assert "Set-Cookie" not in reader.get("/api/v1/docs").headers
