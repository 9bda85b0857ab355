"""The date of a letter: in four languages, never a birth date, never a guess between day and month."""

from datetime import date

import pytest

from medfiles.texts import dates

TODAY = date(2026, 11, 30)
GERMAN = """Praxis Dr. Muster
Hauptstr. 1, 10115 Berlin
Tel. 030 12.34.56

Berlin, den 12.03.2019

Patient: Hans Beispiel, geb. 09.01.1948

Sehr geehrter Kollege,
wir berichten über den Aufenthalt vom 01.03.2019 bis 10.03.2019. Nächster Termin: 04.06.2019. Hb 12.5 g/dl
"""
FRENCH = """Dr. Dupont
12 rue des Lilas, 69001 Lyon
Lyon, le 3 mars 2019
Mme Durand née le 02/04/1950
Vue le 1er mars 2019. Prochain rendez-vous le 3 juin 2019"""
SPANISH = """Clínica del Sol
Fecha de nacimiento: 09/01/1948
Madrid, a 5 de marzo de 2019
Próxima cita: 7 de junio de 2019"""
ENGLISH = """Exampleton Imaging Centre
Patient Anna Sample Born 14 March 1987
Examined 3 October 2026 Referred by Dr. J. Green"""
LABELS_ABOVE = """DISCHARGE SUMMARY
Date of birth
14.03.1987
Date of report
12.05.2020
Admitted 01.05.2020"""


def found(text: str, order: str | None = None, births: tuple[date, ...] = ()) -> list[str]:
    return [day.isoformat() for day in dates.in_text([text], order, TODAY, births)]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        (GERMAN, "2019-03-12"),
        (FRENCH, "2019-03-03"),
        (SPANISH, "2019-03-05"),
        (ENGLISH, "2026-10-03"),
        (LABELS_ABOVE, "2020-05-12"),
        ("May 12, 2020\nDear Dr. Green", "2020-05-12"),
        ("Rechnungsdatum: 12.05.20\nfällig bis 12.06.20", "2020-05-12"),
        ("Date: 25/04/2019\nDOB 14 Mar 1987", "2019-04-25"),
        ("Fecha: 7 de agosto del 2021", "2021-08-07"),
        ("Fait à Lyon, le 1er février 2020", "2020-02-01"),
        ("Report date 2019-05-12T10:00", "2019-05-12"),
        (
            "Le 12 juin 2017\n\nJe propose de la rééducation. Prochain rendez-vous :\n14.08.2017.",
            "2017-06-12",
        ),
    ],
)
def test_date_of_a_letter_is_found(text: str, day: str) -> None:
    assert found(text) == [day]


def test_slashes_are_read_only_as_the_account_writes_them() -> None:
    text = "Date: 03/04/2019\nSeen 1 April 2019"
    assert found(text) == ["2019-04-03", "2019-03-04"]
    assert found(text, dates.DAY_FIRST) == ["2019-04-03"]
    assert found(text, dates.MONTH_FIRST) == ["2019-03-04"]
    assert found("Date: 04/04/2019") == ["2019-04-04"]


@pytest.mark.parametrize(
    "text",
    [
        "Geburtsdatum: 09.01.1948",
        "* 09.01.1948",
        "Mme Durand, née le 9 janvier 1948",
        "DOB: 1948-01-09",
        "F. nac.: 9 de enero de 1948",
        "Hans Beispiel 09.01.1948",  # known as a birth date
        "Date: 31.12.2026",  # in the future
        "Date: 01.02.1940",  # before the patient was born
        "version 12.5.3, address 10.10.10.10, value 1.2.1999.4, dose 5.2.2019,4",
        "Termin: 03.03.2021",
        "",
    ],
)
def test_birth_dates_future_dates_and_numbers_are_not_offered(text: str) -> None:
    assert dates.in_text([text], None, TODAY, [date(1948, 1, 9)], date(1948, 1, 9)) == ()


def test_a_list_of_measurements_has_no_date_of_its_own() -> None:
    assert found("\n".join(f"2026-09-{day:02};120;80" for day in range(1, 20))) == []


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("IMG_20190512_101010.jpg", ["2019-05-12"]),
        ("Scan 2019-05-12.pdf", ["2019-05-12"]),
        ("Befund_12.5.2019.pdf", ["2019-05-12"]),
        ("lettre 3 mars 2019.pdf", ["2019-03-03"]),
        ("03-04-2019.pdf", ["2019-04-03", "2019-03-04"]),
        ("2019-05-12 to 2019-06-01.pdf", []),
        ("20991231.pdf", []),
        ("report.pdf", []),
    ],
)
def test_date_in_a_name(name: str, days: list[str]) -> None:
    assert [day.isoformat() for day in dates.in_name(name, None, TODAY)] == days
