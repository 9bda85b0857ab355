"""Text, tables and Word documents: the words and values that are in them, cut at a stated size, nothing that runs."""

import csv
import io
import struct
from datetime import date, datetime
from typing import Any

import docx
import openpyxl
import pytest

from tests.sandbox.render.conftest import Previewer
from tests.support import samples

WORD, SHEET = samples.WORD, samples.SHEET
LETTER = (
    "Überweisung an Frau Dr. Müller: Größe 1,20 m, Gewicht 23 kg. Prüfung der Gehörgänge für nächste Woche geplant.\n"
)
RUSSIAN = "Направление к врачу: рост сто двадцать сантиметров, вес двадцать три килограмма, слух проверить.\n"


def word(document: Any) -> bytes:
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def old_workbook() -> bytes:
    """BIFF8: one sheet “Lab” with a word and a number."""

    def record(kind: int, body: bytes) -> bytes:
        return struct.pack("<2H", kind, len(body)) + body

    start = record(0x0809, struct.pack("<4H2I", 0x0600, 0x0005, 0, 0, 0, 0))
    name = struct.pack("<2B", 3, 0) + b"Lab"
    sheet_at = len(start) + 4 + 6 + len(name) + 4
    globals_ = start + record(0x0085, struct.pack("<IH", sheet_at, 0) + name) + record(0x000A, b"")
    sheet = record(0x0809, struct.pack("<4H2I", 0x0600, 0x0010, 0, 0, 0, 0))
    sheet += record(0x0204, struct.pack("<3HHB", 0, 0, 0, 5, 0) + b"HbA1c")
    sheet += record(0x0203, struct.pack("<3Hd", 0, 1, 0, 5.4)) + record(0x000A, b"")
    return samples.compound("Workbook", globals_ + sheet)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (LETTER, "utf-8"),
        (LETTER, "utf-8-sig"),
        (LETTER, "utf-16"),
        (LETTER, "utf-32"),
        (LETTER, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        ("à jeun\n", "cp1252"),
        ("España mañana\n", "cp1252"),
        ("naïve … déjà vu: œdème\n", "cp1252"),
        ("Blodtrycket är för högt, återbesök på måndag\n", "cp1252"),
        ("37,5 °C ± 0,2 µg\n", "cp1252"),
        ("Wyniki są prawidłowe. Proszę zgłosić się\n", "cp1250"),
        ("Příliš vysoký krevní tlak, lékař doporučuje kontrolu\n", "cp1250"),
        ("Давление повышено\n", "cp1251"),
        ("Η πίεση είναι υψηλή\n", "cp1253"),
        ("血圧が高いです。再検査をしてください。\n", "cp932"),
        ("혈압이 높습니다\n", "cp949"),
    ],
)
def test_text_is_read_whatever_its_encoding(show: Previewer, text: str, encoding: str) -> None:
    facts = show.look((text * 3).encode(encoding), "text/plain")
    assert (facts["kind"], facts["text"]) == ("text", text * 3)
    assert ("does not declare its text encoding" in (facts["note"] or "")) is not encoding.startswith("utf")


def test_an_encoding_that_was_guessed_is_named_for_text_and_for_tables(show: Previewer) -> None:
    notes = [show.look("Größe;5,1\n".encode("cp1252"), kind)["note"] for kind in ("text/plain", "text/csv")]
    assert all("shown as Western European (Windows-1252)" in note for note in notes)


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "application/xml"])
def test_text_is_cut_at_a_size_that_is_stated(show: Previewer, media_type: str) -> None:
    facts = show.look(b"0123456789" * 30_000, media_type)
    assert len(facts["text"]) == 200_000
    assert "200,000 characters" in facts["note"]


def test_markup_in_text_stays_text(show: Previewer) -> None:
    data = samples.xml("<b>5.1</b>")
    assert show.look(data, "application/xml")["text"] == data.decode()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_separated_values_become_a_table(show: Previewer, delimiter: str) -> None:
    target, rows = io.StringIO(), [["date", "test, and unit", "value"], ["2024-03-01", 'HbA1c "IFCC"', "36"]]
    csv.writer(target, delimiter=delimiter).writerows(rows)
    facts = show.look(target.getvalue().encode(), "text/csv")
    assert (facts["kind"], facts["sheets"], facts["note"]) == ("table", [["", rows]], None)


def test_a_cell_keeps_the_lines_that_stand_in_it(show: Previewer) -> None:
    data = 'Hb,"first line\nsecond line"\r\nCRP,"a\u2028b"\r\n'.encode()
    assert show.look(data, "text/csv")["sheets"] == [["", [["Hb", "first line\nsecond line"], ["CRP", "a\u2028b"]]]]


def test_long_and_wide_tables_are_cut_and_say_so(show: Previewer) -> None:
    for facts in (
        show.look("\n".join(",".join(map(str, range(60))) for _ in range(300)).encode(), "text/csv"),
        show.look(workbook(Long=[list(range(60)) for _ in range(300)]), SHEET),
    ):
        [[_, rows]] = facts["sheets"]
        assert (len(rows), len(rows[0])) == (200, 50)
        assert facts["note"].startswith("Only the first 200 rows and 50 columns are shown.")


def test_a_workbook_shows_its_sheets_with_values_as_they_were_entered(show: Previewer) -> None:
    rows: list[list[Any]] = [
        ["Test", "Value", "When", None, True],
        ["HbA1c", 5.4, date(2024, 3, 1), 7, datetime(2024, 3, 1, 8, 30)],
    ]
    facts = show.look(workbook(Results=rows, Other=[["x"]]), SHEET)
    shown = [["Test", "Value", "When", "", "yes"], ["HbA1c", "5.4", "2024-03-01", "7", "2024-03-01 08:30"]]
    assert facts["sheets"] == [["Results", shown], ["Other", [["x"]]]]
    assert facts["note"] is None


def test_only_the_first_sheets_are_shown(show: Previewer) -> None:
    facts = show.look(workbook(**{f"Sheet {number}": [[number]] for number in range(12)}), SHEET)
    assert [name for name, _ in facts["sheets"]] == [f"Sheet {number}" for number in range(10)]
    assert facts["note"].startswith("Only the first 10 sheets are shown.")


def test_an_old_workbook_is_shown(show: Previewer) -> None:
    facts = show.look(old_workbook(), "application/vnd.ms-excel")
    assert facts["sheets"] == [["Lab", [["HbA1c", "5.4"]]]]


def test_a_workbook_without_values_says_so(show: Previewer) -> None:
    facts = show.look(workbook(Empty=[]), SHEET)
    assert (facts["kind"], "contains no values" in facts["reason"]) == ("none", True)


def test_a_word_document_becomes_clean_html(show: Previewer) -> None:
    document = docx.Document()
    document.add_heading("Referral", 0)
    document.add_heading("Visit <script>alert(1)</script>", 1)
    document.add_paragraph("Weight & height").add_run(" are fine").bold = True
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "HbA1c", "5.4"
    html = show.look(word(document), WORD)["html"]
    assert "<h1>Referral</h1>" in html
    assert "<h1>Visit &lt;script&gt;alert(1)&lt;/script&gt;</h1>" in html
    assert "<p>Weight &amp; height<strong> are fine</strong></p>" in html
    assert "<td><p>HbA1c</p></td><td><p>5.4</p></td>" in html


def test_pictures_and_links_in_a_word_document_are_left_out(show: Previewer) -> None:
    document = docx.Document()
    document.add_paragraph("Before")
    document.add_picture(io.BytesIO(samples.png()))
    facts = show.look(word(document), WORD)
    assert facts["html"] == "<p>Before</p><p>[picture]</p>"
    assert "left out" in facts["note"]
    target = (
        f'{samples.XML_HEAD}<Relationships xmlns="{samples.RELATIONS}"><Relationship Id="rId9" TargetMode="External" '
    )
    target += f'Type="{samples.OFFICE_RELATIONS}/hyperlink" Target="javascript:alert(1)"/></Relationships>'
    parts = samples.docx_parts() | {"word/_rels/document.xml.rels": target}
    body = (
        str(parts["word/document.xml"])
        .replace("<w:r>", '<w:hyperlink r:id="rId9"><w:r>')
        .replace("</w:r>", "</w:r></w:hyperlink>")
    )
    parts["word/document.xml"] = body.replace("<w:document ", f'<w:document xmlns:r="{samples.OFFICE_RELATIONS}" ')
    assert show.look(samples.package(parts), WORD)["html"] == "<p>Visit summary</p>"


def test_a_long_word_document_is_cut_and_still_whole_html(show: Previewer) -> None:
    parts = samples.docx_parts("</w:t></w:r></w:p><w:p><w:r><w:t>".join("Take two a day. " * 30 for _ in range(700)))
    facts = show.look(samples.package(parts), WORD)
    assert 250_000 < len(facts["html"]) <= 300_100
    assert facts["html"].endswith("</p>")
    assert "300,000 characters" in facts["note"]


def test_an_old_word_document_can_only_be_downloaded(show: Previewer) -> None:
    facts = show.look(samples.doc(), "application/msword")
    assert facts["kind"] == "none"
    assert "Download" in facts["reason"]


def test_what_has_no_pages_has_no_pictures(show: Previewer) -> None:
    for media_type in ("text/plain", "text/csv", WORD, SHEET, "application/msword"):
        assert show.answer(samples.txt(), media_type) == {"missing": True}


LANGUAGES = {
    "Turkish": ("Hasta adı: Şükrü Çağlayan, ölçüm sonucu düşük", ("cp1254", "iso8859_9")),
    "German": ("Größe: 180, Müdigkeit, Überweisung", ("cp1252", "mac_roman", "cp850")),
    "French": ("Résultat: hémoglobine élevée à 15 g/dl, déjà contrôlé", ("cp1252", "mac_roman")),
    "Spanish": ("Señora Muñoz: índice glucémico ¿normal?", ("cp1252", "mac_roman")),
    "Icelandic": ("Niðurstaða: blóðþrýstingur eðlilegur, Þórður", ("cp1252",)),
    "Swedish": ("Blodtryck förhöjt, åter på måndag", ("cp1252",)),
    "Czech": ("Výsledek vyšetření: příliš žluťoučký kůň, hemoglobin zvýšený", ("cp1250", "iso8859_2")),
    "Hungarian": ("Vérkép: a hemoglobin értéke megfelelő, üdvözlettel dr. Kőműves", ("cp1250", "iso8859_2")),
    "Polish": ("Wynik badania: żółtaczka, stężenie glukozy prawidłowe", ("cp1250", "iso8859_2")),
    "Russian": ("анализ крови в норме", ("cp1251", "koi8_r", "cp866")),
    "Greek": ("Αποτελέσματα εξετάσεων: φυσιολογικά", ("cp1253",)),
    "Hebrew": ("תוצאות בדיקת דם: תקין", ("cp1255", "iso8859_8")),
    "Arabic": ("نتيجة تحليل الدم طبيعية", ("cp1256",)),
    "Thai": ("ผลการตรวจเลือดปกติ", ("cp874",)),
    "traditional Chinese": ("血液檢查結果正常，白血球計數", ("big5",)),
    "simplified Chinese": ("患者姓名：王小明。诊断：高血压，建议每日服药。", ("gb18030",)),
    "Japanese": ("血液検査の結果は正常です", ("cp932", "euc_jp", "iso2022_jp")),
    "Korean": ("혈액 검사 결과는 정상입니다", ("cp949",)),
    "signs only": ("Temperature 37 °C, 5 µg/ml ± 2", ("cp1252",)),
}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(text, encoding) for text, encodings in LANGUAGES.values() for encoding in encodings],
    ids=[f"{name}, {encoding}" for name, (_, encodings) in LANGUAGES.items() for encoding in encodings],
)
def test_short_texts_are_read_in_their_encoding(show: Previewer, text: str, encoding: str) -> None:
    facts = show.look(text.encode(encoding), "text/plain")
    assert facts["text"] == text
    assert "does not declare its text encoding" in facts["note"]
    assert facts["encoding"]


@pytest.mark.parametrize(
    "data", ["Größe\n".encode("latin-1") + bytes(5), b"Gr\xf6\xdfe " * 20 + b"\0", b"\x81\x8d\x8f \xff x"]
)
def test_every_accepted_text_is_shown(show: Previewer, data: bytes) -> None:
    assert show.look(data, "text/plain")["kind"] == "text"


def test_declared_encodings_leave_nothing_to_choose(show: Previewer) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        facts = show.look(LETTER.encode(encoding), "text/plain")
        assert (facts["encoding"], facts["note"]) == (None, None)


@pytest.mark.parametrize("media_type", ["text/plain", "text/csv"])
def test_another_encoding_can_be_chosen(show: Previewer, media_type: str) -> None:
    data = RUSSIAN.encode("koi8_r")
    facts = show.ask("look", data, media_type, encoding="cp1251")
    assert facts["encoding"] == "cp1251"
    assert "Cyrillic (Windows-1251), as you chose" in facts["note"]
    shown = facts["text"] or facts["sheets"][0][1][0][0]
    assert shown[:20] == RUSSIAN.encode("koi8_r").decode("cp1251")[:20]
    broken = show.ask("look", data, "text/plain", encoding="utf_8")
    assert "\ufffd" in broken["text"]
    assert "not valid in this encoding" in broken["note"]


def test_long_cells_of_separated_values_are_read(show: Previewer) -> None:
    facts = show.look(f"a,b\n1,{'x' * 140_000}\n".encode(), "text/csv")
    assert facts["sheets"] == [["", [["a", "b"], ["1", "x" * 1000]]]]
    assert "Cells are cut" in facts["note"]


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;"])
def test_a_line_that_declares_the_delimiter_is_no_row(show: Previewer, line: str) -> None:
    facts = show.look(f"{line}\r\nTest;Wert\r\nGlukose;5,4\r\n".encode(), "text/csv")
    assert facts["sheets"] == [["", [["Test", "Wert"], ["Glukose", "5,4"]]]]
