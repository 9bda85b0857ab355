"""Invented letters in four languages, with the truth about each: whose they are, of which record, kind and day."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from medfiles.inbox.people import Person
from medfiles.models import EntityFile, Insurance, LabResult, Procedure, Visit
from medfiles.record_types.declared import RECORD_TYPES, RecordType

PEOPLE = (
    Person(1, "Anna", "Sample", date(1984, 2, 9)), Person(2, "Ben", "Sample", date(2016, 5, 3)),
    Person(3, "Ella", "Sample", date(2018, 3, 2)), Person(4, "Hans", "Muster-Sample", date(1949, 11, 28)),
)  # fmt: skip
TODAY = date(2026, 11, 30)
LANGUAGES = ("en", "de", "fr", "es")
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}
VISITS = (
    ("Knee pain", "Knieschmerzen", "Douleurs au genou", "Dolor de rodilla"),
    ("Annual check-up", "Jahreskontrolle", "Bilan annuel", "Revisión anual"),
    ("Ear infection", "Ohrenentzündung", "Otite", "Otitis"),
    ("High blood pressure", "Bluthochdruck", "Hypertension", "Hipertensión"),
    ("Asthma follow-up", "Asthma-Kontrolle", "Suivi de l'asthme", "Control de asma"),
    ("Skin rash", "Hautausschlag", "Éruption cutanée", "Erupción cutánea"),
    ("Migraine", "Migräne", "Migraine", "Migraña"),
)
LABS = (
    ("Blood count", "Blutbild", "Hémogramme", "Hemograma"),
    ("Thyroid", "Schilddrüse", "Thyroïde", "Tiroides"),
    ("Cholesterol", "Cholesterin", "Cholestérol", "Colesterol"),
    ("Urine culture", "Urinkultur", "Uroculture", "Urocultivo"),
    ("Vitamin D", "Vitamin D", "Vitamine D", "Vitamina D"),
)
PROCEDURES = (
    ("Knee X-ray", "Röntgen Knie", "Radiographie du genou", "Radiografía de rodilla"),
    ("Tonsillectomy", "Tonsillektomie", "Amygdalectomie", "Amigdalectomía"),
    ("Colonoscopy", "Darmspiegelung", "Coloscopie", "Colonoscopia"),
    ("Chest CT", "CT Thorax", "Scanner thoracique", "TC de tórax"),
)
INSURERS = ("Sample Mutual", "Muster Krankenkasse", "Mutuelle Exemple", "Seguros Ejemplo")
DOCTORS = ("Dr. Petra Vogel", "Dr. Luc Martin", "Dr. Rosa Campos", "Dr. John Hill", "Dr. Jana Kern", "Dr. Paul Anders")
CLINICS = ("City Hospital", "Praxis am Markt", "Clinique du Lac", "Hospital del Mar", "Health Center North")
KINDS = {  # category: heading in each language
    "visit": {
        "summary": ("Clinic letter", "Arztbrief", "Compte rendu de consultation", "Informe de consulta"),
        "referral": ("Referral", "Überweisungsschein", "Lettre d'adressage", "Hoja de derivación"),
        "prescription": ("Prescription", "Rezept", "Ordonnance", "Receta médica"),
        "test_order": ("Laboratory request", "Laborauftrag", "Demande d'analyses", "Petición de analítica"),
    },
    "lab-result": {
        "result": ("Laboratory results", "Laborbefund", "Résultats d'analyses", "Resultados de análisis"),
    },
    "procedure": {
        "report": ("Procedure report", "Untersuchungsbericht", "Compte rendu d'examen", "Informe de intervención"),
        "consent": ("Informed consent", "Einwilligungserklärung", "Consentement éclairé", "Consentimiento informado"),
        "billing": ("Invoice", "Rechnung", "Facture", "Factura"),
        "instructions": ("Instructions", "Merkblatt", "Consignes", "Recomendaciones"),
    },
    "insurance": {
        "policy": ("Policy document", "Versicherungsschein", "Contrat d'assurance", "Póliza"),
        "claim": ("Claim form", "Leistungsantrag", "Demande de remboursement", "Solicitud de reembolso"),
        "eob": (
            "Explanation of benefits", "Leistungsabrechnung", "Relevé de prestations", "Liquidación de prestaciones",
        ),
    },
}  # fmt: skip
LABELS = {
    "en": ("Patient", "born", "Date", "Next appointment", "Policyholder", "Kind regards", "Seen on"),
    "de": ("Patient", "geb.", "Datum", "Nächster Termin", "Versicherungsnehmer", "Freundliche Grüße", "Untersucht am"),
    "fr": ("Patient", "né(e) le", "Date", "Prochain rendez-vous", "Souscripteur", "Cordialement", "Vu le"),
    "es": ("Paciente", "nacido el", "Fecha", "Próxima cita", "Tomador", "Un saludo", "Visto el"),
}
SENTENCES = {
    "en": ("Thank you for your trust.", "Findings were explained.", "Take the medicine twice a day for 10 days."),
    "de": ("Vielen Dank für Ihr Vertrauen.", "Die Befunde wurden besprochen.", "Zweimal täglich 10 Tage einnehmen."),
    "fr": ("Merci de votre confiance.", "Les constats ont été expliqués.", "À prendre deux fois par jour, 10 jours."),
    "es": ("Gracias por su confianza.", "Se han explicado los hallazgos.", "Tomar dos veces al día durante 10 días."),
}
NAMES = ("IMG_{n}.pdf", "Scan_{n}.pdf", "document({n}).pdf", "{heading}.pdf", "{heading} {first}.pdf", "{n}.pdf")


@dataclass(frozen=True)
class Letter:
    """A letter and what is true about it."""

    file: EntityFile
    text: str
    person: Person
    record: Any
    record_type: RecordType
    category: str
    day: date


def records(chance: random.Random) -> dict[int, list[tuple[RecordType, Any]]]:
    """Fifteen records of each person: seven visits, four lab results, two procedures and two of insurance."""
    types = {kind.name: kind for kind in RECORD_TYPES}
    found: dict[int, list[tuple[RecordType, Any]]] = {}
    number = iter(range(1, 1000))
    for person in PEOPLE:
        own: list[tuple[RecordType, Any]] = []
        for topics in chance.sample(VISITS, 7):
            values = {"reason": chance.choice(topics), "date": _day(chance), "practitioner": chance.choice(DOCTORS)}
            own.append((types["visit"], Visit(id=next(number), location=chance.choice(CLINICS), **values)))
        for topics in chance.sample(LABS, 4):
            values = {"test_name": chance.choice(topics), "completed_date": _day(chance)}
            own.append((types["lab-result"], LabResult(id=next(number), facility=chance.choice(CLINICS), **values)))
        for topics in chance.sample(PROCEDURES, 2):
            values = {"procedure_name": chance.choice(topics), "date": _day(chance)}
            own.append((types["procedure"], Procedure(id=next(number), facility=chance.choice(CLINICS), **values)))
        for insurer in chance.sample(INSURERS, 2):
            values = {"company_name": insurer, "member_id": f"M{chance.randrange(10**6):06}"}
            own.append((types["insurance"], Insurance(id=next(number), effective_date=_day(chance), **values)))
        found[person.id] = own
    return found


def letters(chance: random.Random, own: dict[int, list[tuple[RecordType, Any]]], many: int) -> Iterator[Letter]:
    for number in range(many):
        person = PEOPLE[number % len(PEOPLE)]
        record_type, record = chance.choice(own[person.id])
        yield _letter(chance, 1000 + number, number // len(PEOPLE) % len(LANGUAGES), person, record_type, record)


def _letter(
    chance: random.Random, number: int, language: int, person: Person, record_type: RecordType, record: Any
) -> Letter:
    tag = LANGUAGES[language]
    category, headings = chance.choice([*KINDS[record_type.name].items()])
    heading, label = headings[language], LABELS[tag]
    title = record_type.title_of(record)
    if chance.random() < 0.08:
        heading = title if record_type.name != "insurance" else "Information"
    seen = record_type.date_of(record)
    assert seen is not None
    after = chance.choice((0, 0, 1, 2, 5)) if record_type.name != "insurance" else chance.randrange(20, 200)
    day = min(seen + timedelta(days=after), TODAY)
    place = getattr(record, "location", None) or getattr(record, "facility", None) or chance.choice(CLINICS)
    place = record.company_name if record_type.name == "insurance" else place
    doctor = getattr(record, "practitioner", None) or chance.choice(DOCTORS)
    name = f"{person.first_name} {person.last_name}"
    name = f"{person.last_name}, {person.first_name}" if chance.random() < 0.25 else name
    born = _written(chance, person.birth_date, tag)
    lines = [place, chance.choice(("Main Street 5", "Hauptstraße 7", "12 rue Haute", "Calle Mayor 3")), "", heading]
    lines += [f"{label[2]}: {_written(chance, day, tag)}", ""]
    lines += [chance.choice((f"{label[0]}: {name}, {label[1]} {born}", f"{label[0]}: {name}\n{label[1]} {born}"))]
    if record_type.name != "insurance":
        lines += [title if chance.random() < 0.7 else chance.choice(SENTENCES[tag])]
        if after and chance.random() < 0.8:
            lines += [f"{label[6]} {_written(chance, seen, tag)}"]
    else:
        lines += [record.member_id if chance.random() < 0.6 else ""]
    if person.birth_date.year > 2010 and chance.random() < 0.5:
        lines += [f"{label[4]}: Anna Sample"]
    lines += chance.sample(SENTENCES[tag], 2)
    if chance.random() < 0.4:
        lines += [f"{label[3]}: {_written(chance, day + timedelta(days=40), tag)}"]
    lines += ["", label[5], doctor]
    text = "\n".join(lines)
    if chance.random() < 0.15:
        text = _misread(chance, text, person)
    written = chance.choice(NAMES).format(n=chance.randrange(1000, 9999), heading=heading, first=person.first_name)
    file = EntityFile(id=10**9 + number, file_name=written, file_type="application/pdf", file_size=80_000)
    return Letter(file, text, person, record, record_type, category, day)


def _misread(chance: random.Random, text: str, person: Person) -> str:
    """As recognized in a poor photo: a letter of the last name is another, and some of the words."""
    last = person.last_name
    place = chance.randrange(1, len(last) - 1)
    return text.replace(last, last[:place] + "l" + last[place + 1 :]).replace("rn", "m")


def _day(chance: random.Random) -> date:
    return TODAY - timedelta(days=chance.randrange(20, 1500))


def _written(chance: random.Random, day: date, language: str) -> str:
    month = MONTHS[language].split()[day.month - 1]
    joined = {"en": f"{day.day} {month} {day.year}", "de": f"{day.day}. {month} {day.year}"}
    joined |= {"fr": f"{day.day} {month} {day.year}", "es": f"{day.day} de {month} de {day.year}"}
    return chance.choice((joined[language], f"{day.day:02}.{day.month:02}.{day.year}", day.isoformat()))


def swaps(chance: random.Random, written: Sequence[Letter], many: int) -> Iterator[tuple[Letter, Person]]:
    """Letters put to the wrong person."""
    for letter in chance.sample(list(written), many):
        yield letter, chance.choice([person for person in PEOPLE if person != letter.person])
