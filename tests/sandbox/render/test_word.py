"""Word documents: all of their text is shown or named as left out, and none that is hidden."""

import struct
from typing import Any

import pytest

from tests.sandbox.render.conftest import Previewer
from tests.support import samples

WORD = samples.WORD
NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


def said(text: str, more: str = "") -> str:
    return f"<w:p><w:r>{more}<w:t xml:space='preserve'>{text}</w:t></w:r></w:p>"


def part(name: str, content: str) -> str:
    return f"{samples.XML_HEAD}<w:{name} {NAMESPACES}>{content}</w:{name}>"


def letter(body: str, **related: str | bytes) -> bytes:
    """A document with this body and these parts, each related to it under the id "r" followed by its number.

    A part is named by its kind and extension, with an underscore: header_xml, styles_xml, aFChunk_html.
    """
    links, parts = "", samples.docx_parts()
    for number, (name, content) in enumerate(related.items()):
        kind, _, extension = name.rpartition("_")
        target = f"{kind}{number}.{extension}"
        links += (
            f'<Relationship Id="r{number}" Type="{samples.OFFICE_RELATIONS}/{kind.rstrip("0123456789")}" '
            f'Target="{target}"/>'
        )
        parts[f"word/{target}"] = content
    parts["word/document.xml"] = part("document", f"<w:body>{body}</w:body>")
    parts["word/_rels/document.xml.rels"] = (
        f'{samples.XML_HEAD}<Relationships xmlns="{samples.RELATIONS}">{links}</Relationships>'
    )
    return samples.package(parts)


def section(*references: str, more: str = "") -> str:
    return f"<w:sectPr>{''.join(references)}{more}</w:sectPr>"


def refers(kind: str, number: int, applies: str = "default") -> str:
    return f'<w:{kind}Reference w:type="{applies}" r:id="r{number}"/>'


def html(show: Previewer, data: bytes) -> str:
    facts = show.look(data, WORD)
    assert facts["kind"] == "html", facts["reason"]
    return str(facts["html"])


def note(show: Previewer, data: bytes) -> Any:
    return show.look(data, WORD)["note"]


def test_headers_come_first_and_footers_last(show: Previewer) -> None:
    data = letter(
        said("Findings normal.") + section(refers("header", 0), refers("footer", 1)),
        header_xml=part("hdr", said("Ella Sample, born 2014")),
        footer_xml=part("ftr", said("Dr. Sample, Station Road")),
    )
    assert html(show, data) == ("<p>Ella Sample, born 2014</p><p>Findings normal.</p><p>Dr. Sample, Station Road</p>")
    assert note(show, data) is None


def test_only_headers_that_word_shows_are_shown_each_once(show: Previewer) -> None:
    first, even, default = (refers("header", number, name) for number, name in enumerate(("first", "even", "default")))
    related = {f"header{number}_xml": part("hdr", said(f"Header {number}")) for number in range(3)}
    ended = f"<w:p><w:pPr>{section(default)}</w:pPr></w:p>"
    plain = html(show, letter(ended + said("Words") + section(first, even, default), **related))
    assert plain.count("Header 2") == 1
    assert not {"Header 0", "Header 1"} & {words for words in ("Header 0", "Header 1") if words in plain}
    settings = part("settings", "<w:evenAndOddHeaders/>")
    titled = section(first, even, default, more="<w:titlePg/>")
    everything = html(show, letter(said("Words") + titled, **related, settings_xml=settings))
    assert [everything.count(f"Header {number}") for number in range(3)] == [1, 1, 1]


def test_pictures_and_links_in_a_header_are_left_out(show: Previewer) -> None:
    picture = '<w:r><w:pict><v:shape><v:imagedata r:id="r9"/></v:shape></w:pict></w:r>'
    link = '<w:hyperlink r:id="r7"><w:r><w:t>Clinic</w:t></w:r></w:hyperlink>'
    data = letter(said("Words") + section(refers("header", 0)), header_xml=part("hdr", f"<w:p>{picture}{link}</w:p>"))
    assert html(show, data) == "<p>[picture]Clinic</p><p>Words</p>"
    assert "Images are left out" in note(show, data)


def field(*contents: str) -> str:
    return "<w:p>" + "".join(f"<w:r>{content}</w:r>" for content in contents) + "</w:p>"


def begin(data: str) -> str:
    return f'<w:fldChar w:fldCharType="begin"><w:ffData>{data}</w:ffData></w:fldChar>'


END = '<w:fldChar w:fldCharType="end"/>'
SHOWN = {
    "simple field": ('<w:p><w:fldSimple w:instr="NAME"><w:r><w:t>Ella</w:t></w:r></w:fldSimple></w:p>', "Ella"),
    "field in a field": (
        '<w:p><w:fldSimple w:instr="IF"><w:fldSimple w:instr="A"><w:r><w:t>Ella</w:t></w:r></w:fldSimple>'
        "</w:fldSimple></w:p>",
        "Ella",
    ),
    "ruby": (
        "<w:p><w:r><w:ruby><w:rt><w:r><w:t>けつえき</w:t></w:r></w:rt>"
        "<w:rubyBase><w:r><w:t>血液</w:t></w:r></w:rubyBase></w:ruby></w:r></w:p>",
        "血液(けつえき)",
    ),
    "right to left": ('<w:p><w:bdo w:val="rtl"><w:r><w:t>דם</w:t></w:r></w:bdo></w:p>', "דם"),
    "ticked box of a form": (field(begin("<w:checkBox><w:checked/></w:checkBox>"), "<w:instrText>FORMCHECKBOX"
        "</w:instrText>", END, "<w:t> Smoker</w:t>"), "☒ Smoker"),
    "empty box of a form": (field(begin('<w:checkBox><w:default w:val="0"/></w:checkBox>'), "<w:instrText>FORMCHECKBOX"
        "</w:instrText>", END, "<w:t> Smoker</w:t>"), "☐ Smoker"),
    "choice of a form": (field(begin('<w:ddList><w:result w:val="1"/><w:listEntry w:val="no"/>'
        '<w:listEntry w:val="yes"/></w:ddList>'), "<w:instrText>FORMDROPDOWN</w:instrText>", END), "yes"),
    "ticked box as a symbol": ('<w:p><w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r></w:p>', "☑"),
    "older text box": (
        "<w:p><w:r><w:pict><v:shape><v:textbox><w:txbxContent>" + said("In a box")
        + "</w:txbxContent></v:textbox></v:shape></w:pict></w:r></w:p>", "In a box",
    ),
    "newer text box": (
        "<w:p><w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wp:inline><a:graphic><a:graphicData>"
        "<wps:wsp><wps:txbx><w:txbxContent>" + said("In a box") + "</w:txbxContent></wps:txbx></wps:wsp>"
        "</a:graphicData></a:graphic></wp:inline></w:drawing></mc:Choice></mc:AlternateContent></w:r></w:p>",
        "In a box",
    ),
    "line break": ("<w:p><w:r><w:t>One</w:t><w:cr/><w:t>Two</w:t></w:r></w:p>", "One<br>Two"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHOWN)
def test_text_is_shown_wherever_it_stands(show: Previewer, kind: str) -> None:
    body, words = SHOWN[kind]
    data = letter(body)
    assert words in html(show, data)
    assert note(show, data) is None


def test_text_with_two_alternatives_is_shown_once(show: Previewer) -> None:
    box = "<w:txbxContent>" + said("In a box") + "</w:txbxContent>"
    data = letter(
        "<w:p><w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wp:inline><a:graphic><a:graphicData>"
        f"<wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:inline></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert html(show, data).count("In a box") == 1


def test_comments_are_shown(show: Previewer) -> None:
    comment = part("comments", f'<w:comment w:id="0" w:initials="ES">{said("Check again")}</w:comment>')
    data = letter('<w:p><w:r><w:t>Result</w:t><w:commentReference w:id="0"/></w:r></w:p>', comments_xml=comment)
    assert "Check again" in html(show, data)
    dangling = letter('<w:p><w:r><w:t>Result</w:t><w:commentReference w:id="5"/></w:r></w:p>', comments_xml=comment)
    assert html(show, dangling) == "<p>Result</p>"


def test_dangling_notes_and_links_do_not_take_the_document_away(show: Previewer) -> None:
    body = '<w:p><w:hyperlink r:id="r99"><w:r><w:t>Link</w:t></w:r></w:hyperlink>'
    body += '<w:r><w:footnoteReference w:id="9"/><w:endnoteReference w:id="9"/></w:r></w:p>'
    assert html(show, letter(body)) == "<p>Link</p>"


def test_equations_are_shown_as_text_and_named(show: Previewer) -> None:
    equation = "<m:oMath><m:r><m:t>BMI=</m:t></m:r><m:f><m:num><m:r><m:t>23</m:t></m:r></m:num></m:f></m:oMath>"
    for body in (f"<w:p>{equation}</w:p>", f"<m:oMathPara>{equation}</m:oMathPara>"):
        data = letter(body)
        assert "BMI=23" in html(show, data)
        assert "Equations" in note(show, data)


HIDDEN = {
    "by itself": (said("secret", "<w:rPr><w:vanish/></w:rPr>"), {}),
    "by its style": (
        said("secret", '<w:rPr><w:rStyle w:val="H"/></w:rPr>'),
        {"styles_xml": part("styles", '<w:style w:type="character" w:styleId="H"><w:name w:val="H"/>'
                            "<w:rPr><w:vanish/></w:rPr></w:style>")},
    ),
    "by its paragraph's style": (
        '<w:p><w:pPr><w:pStyle w:val="H"/></w:pPr><w:r><w:t>secret</w:t></w:r></w:p>',
        {"styles_xml": part("styles", '<w:style w:type="paragraph" w:styleId="H"><w:name w:val="H"/>'
                            "<w:rPr><w:vanish/></w:rPr></w:style>")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", HIDDEN)
def test_hidden_text_is_not_shown(show: Previewer, way: str) -> None:
    body, related = HIDDEN[way]
    assert html(show, letter(body + said("Words"), **related)).replace("<p></p>", "") == "<p>Words</p>"


def test_text_that_is_no_longer_hidden_is_shown(show: Previewer) -> None:
    data = letter(said("Words", '<w:rPr><w:vanish w:val="0"/></w:rPr>'))
    assert html(show, data) == "<p>Words</p>"


INSERTED = {
    "html": b"<html><head><title>no</title><script>no()</script></head><body><p>Result: positive</p></body></html>",
    "txt": b"Result: positive <b>",
    "docx": samples.docx(),
}


@pytest.mark.parametrize("extension", INSERTED)
def test_an_inserted_document_is_shown_in_its_place(show: Previewer, extension: str) -> None:
    data = letter(
        said("Before") + '<w:altChunk r:id="r0"/>' + said("After"), **{f"aFChunk_{extension}": INSERTED[extension]}
    )
    found = html(show, data)
    words = "Visit summary" if extension == "docx" else "Result: positive"
    assert found.index("Before") < found.index(words) < found.index("After")
    assert "no" not in found
    assert note(show, data) is None


@pytest.mark.parametrize("extension", ["rtf", "mht"])
def test_an_inserted_document_that_cannot_be_shown_is_named(show: Previewer, extension: str) -> None:
    data = letter(said("Words") + '<w:altChunk r:id="r0"/>', **{f"aFChunk_{extension}": b"{\\rtf1}"})
    assert html(show, data) == "<p>Words</p>"
    assert "inserted here is left out" in note(show, data)


def test_documents_inserted_in_inserted_ones_are_named(show: Previewer) -> None:
    inner = letter(said("Inner") + '<w:altChunk r:id="r0"/>', aFChunk_docx=samples.docx())
    data = letter('<w:altChunk r:id="r0"/>', aFChunk_docx=inner)
    assert html(show, data) == "<p>Inner</p>"
    assert "inserted here is left out" in note(show, data)


def test_a_style_without_a_type_does_not_take_the_document_away(show: Previewer) -> None:
    styles = part("styles", '<w:style w:styleId="A"><w:name w:val="A"/></w:style><w:style/>')
    assert html(show, letter(said("Words"), styles_xml=styles)) == "<p>Words</p>"


def test_several_bodies_are_shown_one_after_the_other(show: Previewer) -> None:
    assert html(show, letter(said("One") + "</w:body><w:body>" + said("Two"))) == "<p>One</p><p>Two</p>"


def test_charts_are_named(show: Previewer) -> None:
    chart = "<w:p><w:r><w:drawing><wp:inline><a:graphic><a:graphicData><c:chart r:id='r5'/></a:graphicData>"
    chart += "</a:graphic></wp:inline></w:drawing></w:r></w:p>"
    assert "Charts" in note(show, letter(said("Words") + chart))


def test_tracked_changes_are_named(show: Previewer) -> None:
    body = "<w:p><w:del><w:r><w:delText>5 mg</w:delText></w:r></w:del><w:ins><w:r><w:t>50 mg</w:t></w:r></w:ins></w:p>"
    data = letter(body)
    assert html(show, data) == "<p>50 mg</p>"
    assert "Tracked changes" in note(show, data)


def test_unknown_symbols_and_elements_are_named(show: Previewer) -> None:
    symbol = '<w:p><w:r><w:sym w:font="Bespoke" w:char="F012"/><w:t>Words</w:t></w:r></w:p>'
    assert "symbols cannot be shown" in note(show, letter(symbol))
    assert "cannot be shown here" in note(show, letter(said("Words") + "<w:novelty/>"))


@pytest.mark.parametrize("change", ["\\", "case"])
def test_odd_part_names_are_read(show: Previewer, change: str) -> None:
    parts = samples.docx_parts()
    odd = {
        (name.replace("/", "\\") if change == "\\" else name.replace("word/d", "Word/D")): content
        for name, content in parts.items()
    }
    assert odd.keys() != parts.keys()
    assert "Visit summary" in html(show, samples.package(odd))


def test_strict_documents_are_read(show: Previewer) -> None:
    parts = samples.docx_parts()
    strict = str(parts["word/document.xml"]).replace(
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "http://purl.oclc.org/ooxml/wordprocessingml/main",
    )
    assert "Visit summary" in html(show, samples.package(parts | {"word/document.xml": strict}))


def test_locked_documents_are_named(show: Previewer) -> None:
    for data, media_type in (
        (samples.compound("EncryptedPackage", b"\0" * 4096), WORD),
        (samples.compound("EncryptedPackage", b"\0" * 4096), samples.SHEET),
        (samples.compound("WordDocument", b"\xec\xa5\xc1\0" + bytes(6) + b"\0\1" + bytes(4084)), "application/msword"),
        (samples.compound("Workbook", struct.pack("<2H16x2H54x", 0x809, 16, 0x2F, 54)), "application/vnd.ms-excel"),
    ):
        facts = show.look(data, media_type)
        assert (facts["kind"], "locked with a password" in facts["reason"]) == ("none", True)
    assert "locked" not in show.look(samples.compound("WordDocument", bytes(4096)), "application/msword")["reason"]
