"""Letters in four languages, from a seed: what they say, the date they bear, and their pages as PDF and as a photo."""

import random
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO

from PIL import Image, ImageFilter
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

LINE = 85  # characters
LANGUAGES = ("en", "de", "fr", "es")
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}
# A letter's lines, with the dates of the letter, of birth, of the stay and of the next appointment.
TEXTS = {
    "en": (
        "Harbour Lane Family Practice", "12 Harbour Lane, Exampleton", "Telephone 555 0140", "", "{place}{dated}", "",
        "Patient: {name}, date of birth {born}", "", "Dear colleague,", "",
        "Thank you for referring this patient, who was seen on {seen} because of pain in the left knee",
        "that had lasted for six weeks. There was no injury. On examination the joint was slightly swollen,",
        "with full movement and stable ligaments. Haemoglobin 13.5 g/dl, creatinine 0.9 mg/dl, glucose 5.1 mmol/l.",
        "We recommend physiotherapy twice a week and ibuprofen 400 mg when needed. Next appointment: {next}.", "",
        "Yours sincerely,", "Dr. Tom Placeholder",
    ),
    "de": (
        "Gemeinschaftspraxis am Hafen", "Hafenstraße 12, 20095 Musterstadt", "Telefon 040 55 50 14", "",
        "{place}{dated}", "", "Patient: {name}, geboren am {born}", "", "Sehr geehrte Kollegin,", "",
        "vielen Dank für die Überweisung des Patienten, der sich am {seen} wegen Schmerzen im linken Knie",
        "vorstellte. Eine Verletzung ist nicht bekannt. Das Gelenk war bei der Untersuchung leicht geschwollen,",
        "frei beweglich und bandstabil. Hämoglobin 13,5 g/dl, Kreatinin 0,9 mg/dl, Glukose 92 mg/dl.",
        "Wir empfehlen zweimal wöchentlich Krankengymnastik und bei Bedarf Ibuprofen 400 mg. Nächster Termin: {next}.",
        "", "Mit freundlichen Grüßen", "Dr. med. Jörg Müßig",
    ),
    "fr": (
        "Cabinet médical du Port", "12 rue du Port, 69001 Villeneuve", "Téléphone 04 55 50 14", "", "{place}{dated}",
        "", "Patient : {name}, né le {born}", "", "Cher confrère,", "",
        "Je vous remercie de m'avoir adressé ce patient, vu le {seen} pour une douleur du genou gauche",
        "évoluant depuis six semaines. Aucun traumatisme n'est retrouvé. À l'examen, l'articulation est légèrement",
        "gonflée, mobile et stable. Hémoglobine 13,5 g/dl, créatinine 80 µmol/l, glycémie 5,1 mmol/l.",
        "Je propose de la kinésithérapie deux fois par semaine. Prochain rendez-vous : {next}.", "",
        "Bien confraternellement,", "Dr Élodie Français",
    ),
    "es": (
        "Clínica del Puerto", "Calle del Puerto 12, 28001 Villanueva", "Teléfono 91 555 01 40", "", "{place}{dated}",
        "", "Paciente: {name}, fecha de nacimiento {born}", "", "Estimada compañera:", "",
        "Gracias por enviarnos a este paciente, visto el {seen} por dolor en la rodilla izquierda",
        "desde hace seis semanas. No hubo traumatismo. En la exploración, la articulación está ligeramente",
        "hinchada, con movilidad completa y ligamentos estables. Hemoglobina 13,5 g/dl, glucosa 92 mg/dl.",
        "Recomendamos fisioterapia dos veces por semana. Próxima cita: {next}.", "", "Un cordial saludo,",
        "Dra. Núñez Peña",
    ),
}  # fmt: skip
LABELS = {
    "en": ("Date: ", "Exampleton, ", "", "Date of report: "),
    "de": ("Datum: ", "Musterstadt, den ", "Musterstadt, ", "Berichtsdatum: "),
    "fr": ("Date : ", "Villeneuve, le ", "Fait à Villeneuve, le ", "Le "),
    "es": ("Fecha: ", "Villanueva, a ", "Villanueva, ", "Fecha del informe: "),
}
NAMES = {"en": "Anna Sample", "de": "Hans Beispiel", "fr": "Claire Exemple", "es": "José Ejemplo"}


@dataclass(frozen=True)
class Letter:
    language: str
    lines: tuple[str, ...]
    dated: date
    born: date
    unclear: bool  # whether its date can be read in two ways

    @property
    def words(self) -> list[str]:
        return " ".join(self.lines).split()


def letters(count: int, seed: int) -> Iterator[Letter]:
    """Every tenth letter bears a date such as 3/4/2019."""
    chance = random.Random(seed)
    for number in range(count):
        language = LANGUAGES[number % len(LANGUAGES)]
        dated = date(2005, 1, 1) + timedelta(days=chance.randrange(7500))
        born = date(1930, 1, 1) + timedelta(days=chance.randrange(25_000))
        unclear = number % 10 == 9
        if unclear:
            dated = dated.replace(day=(dated.month % 12) + 1)  # neither above 12 nor equal to the month
        written = f"{dated.day}/{dated.month}/{dated.year}" if unclear else _written(chance, language, dated)
        said = {
            "place": chance.choice(LABELS[language]), "dated": written, "name": NAMES[language],
            "born": _written(chance, language, born),
            "seen": _written(chance, language, dated - timedelta(days=chance.randrange(1, 20))),
            "next": _written(chance, language, dated + timedelta(days=chance.randrange(20, 90))),
        }  # fmt: skip
        lines = (line.format(**said) for line in TEXTS[language])
        wrapped = tuple(part for line in lines for part in textwrap.wrap(line, LINE) or [""])
        yield Letter(language, wrapped, dated, born, unclear)


def _written(chance: random.Random, language: str, day: date) -> str:
    month = MONTHS[language].split()[day.month - 1]
    forms = {
        "en": (f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", day.isoformat()),
        "de": (f"{day:%d.%m.%Y}", f"{day.day}. {month} {day.year}", f"{day.day}.{day.month}.{day.year}"),
        "fr": (f"{day.day} {month} {day.year}", f"{day.day:02}.{day.month:02}.{day.year}"),
        "es": (f"{day.day} de {month} de {day.year}", f"{day.day} de {month} del {day.year}"),
    }  # fmt: skip
    return chance.choice(forms[language])


def as_pdf(letter: Letter) -> bytes:
    target = BytesIO()
    canvas = Canvas(target, pagesize=A4, invariant=True)
    for number, line in enumerate(letter.lines):
        canvas.setFont("Helvetica", 11)
        canvas.drawString(60, 770 - 19 * number, line)
    canvas.save()
    return target.getvalue()


def as_photo(page: Image.Image, seed: int) -> bytes:
    """Return a page as a phone takes it: slightly turned and out of focus, in uneven light, saved as JPEG."""
    chance = random.Random(seed)
    turn = chance.uniform(-2, 2)
    photo = page.convert("RGB").rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor="#8a7a66")
    width, height = photo.size
    shift = width * 0.02
    corners = (0, 0, chance.uniform(0, shift), height, width, height - chance.uniform(0, shift), width - shift, 0)
    photo = photo.transform(photo.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    light = Image.linear_gradient("L").resize(photo.size).point(lambda value: 150 + value * 105 // 255)
    photo = Image.composite(photo, Image.new("RGB", photo.size, "#403a34"), light)
    photo = photo.filter(ImageFilter.GaussianBlur(0.8))
    target = BytesIO()
    photo.save(target, "JPEG", quality=78)
    return target.getvalue()
