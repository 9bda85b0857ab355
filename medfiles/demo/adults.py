"""Nora and Martin Sample: the grown-ups of the demo family, with their records."""

from datetime import date
from functools import partial

from medfiles.demo.base import DemoPatient, DemoRecord, Person, document, insurance, lab, procedure, visit
from medfiles.demo.pictures import card_back, card_front, sheet_photo, xray
from medfiles.demo.places import (
    BILL,
    CHECKED,
    DENTIST,
    FAMILY,
    HOSPITAL,
    IRIS,
    LABORATORY,
    MEDICINE,
    MUTUAL,
    ORTHOPAEDICS,
    PAUL,
    SPECIMEN,
    TOM,
    VALUES,
    contact,
)
from medfiles.demo.tables import blood_pressure_csv, notes, word, workbook

Records = tuple[DemoRecord, ...]


def nora(today: date) -> DemoPatient:
    person = Person("Nora", today, age=39, days_since_birthday=141)
    kinds = nora_labs(person), nora_visits(person), nora_procedures(person), nora_insurance(person)
    return person.patient("Female", "Allergic to penicillin. Prefers appointments in the morning.", *kinds)


def martin(today: date) -> DemoPatient:
    person = Person("Martin", today, age=43, days_since_birthday=37)
    kinds = martin_labs(person), martin_visits(person), martin_procedures(person), martin_insurance(person)
    return person.patient("Male", "Measures his blood pressure at home, morning and evening.", *kinds)


def nora_labs(p: Person) -> Records:
    blood = (
        VALUES, ("Haemoglobin", "11.4 low!", "g/dL", "12.0 – 15.5"),
        ("Red cells", "4.1", "10^12/L", "3.9 – 5.2"),
        ("White cells", "6.3", "10^9/L", "4.0 – 10.0"), ("Platelets", "248", "10^9/L", "150 – 400"),
        ("MCV", "78 low!", "fL", "80 – 96"),
    )  # fmt: skip
    iron = (
        VALUES,
        ("Ferritin", "9 low!", "µg/L", "15 – 150"),
        ("Transferrin saturation", "12 low!", "%", "16 – 45"),
    )
    thyroid = (VALUES, ("TSH", "2.1", "mIU/L", "0.4 – 4.0"), ("Free T4", "15.2", "pmol/L", "10 – 22"))
    count = p.letter(LABORATORY, "Blood count", 32, blood, "# Comment", "Mild anaemia with small cells.", CHECKED)
    ferritin = p.letter(LABORATORY, "Iron status", 31, iron, "Iron stores are empty.", CHECKED, "~ Dr. Lena Specimen")
    return (
        lab(document("Blood count.pdf", "result", count, "Haemoglobin slightly low"),
            document("Iron status.pdf", "result", ferritin),
            test_name="Blood count and iron", labs_result="Iron deficiency", status="Completed",
            test_category="Blood", test_code="58410-2", test_type="Routine", facility=LABORATORY.name,
            practitioner=IRIS, ordered_date=p.on(35), completed_date=p.on(31),
            notes="Repeat after three months of iron tablets."),
        lab(document("Thyroid values.pdf", "result", p.letter(LABORATORY, "Thyroid", 210, thyroid, CHECKED)),
            test_name="Thyroid", labs_result="Normal", status="Completed", test_category="Blood",
            test_code="3016-3", facility=LABORATORY.name, practitioner=IRIS, ordered_date=p.on(214),
            completed_date=p.on(210)),
        lab(test_name="Vitamin D", status="Ordered", test_category="Blood", facility=LABORATORY.name,
            practitioner=IRIS, ordered_date=p.on(3), notes="Blood is taken next week; no breakfast before."),
        lab(test_name="Urine test strip", labs_result="Normal", status="Completed", test_category="Urine",
            facility=FAMILY.name, ordered_date=p.on(398), completed_date=p.on(398)),
    )  # fmt: skip


def nora_visits(p: Person) -> Records:
    tablets = (MEDICINE, ("Ferrous sample 80 mg", "1 tablet", "every other morning", "3 months"))
    summary = p.letter(
        FAMILY, "Summary of your visit", 36, "# What we talked about",
        "You have been tired for about two months.",
        "# What we found", "Blood pressure 118/74 mmHg, pulse 72 per minute, weight unchanged.", "# Plan",
        "Blood count and iron status, then iron tablets if the stores are low.", "---",
        "# Eating well with low iron",
        "Beans, lentils, whole grains and green vegetables help; vitamin C at the same meal helps more.",
        "~ " + IRIS,
    )  # fmt: skip
    recipe = p.letter(FAMILY, "Prescription", 30, tablets, "Take with a glass of orange juice.", "~ " + IRIS)
    knee = p.letter(ORTHOPAEDICS, "Letter to your family doctor", 120, "Dear Dr. Example,",
                    "thank you for referring Nora Sample with pain in the left knee when climbing stairs.",
                    "The knee is stable, without swelling. I suggest an X-ray and physiotherapy.",
                    "~ " + TOM)  # fmt: skip
    refer = p.letter(FAMILY, "Referral to orthopaedics", 133,
                     "Please see and advise: left knee pain for six weeks.",
                     "Allergy: penicillin.", "~ " + IRIS)  # fmt: skip
    sheet = partial(sheet_photo, "Knee exercises", EXERCISES, p.on(119))
    return (
        visit(document("Visit summary.pdf", "summary", summary),
              document("Prescription iron.pdf", "prescription", recipe), reason="Tiredness", date=p.on(36),
              visit_type="Primary care", location=FAMILY.name, practitioner=IRIS,
              chief_complaint="Tired for two months, short of breath on stairs.",
              diagnosis="Iron deficiency anaemia", treatment_plan="Iron tablets for three months.",
              follow_up_instructions="Blood test in three months."),
        visit(document("Referral to orthopaedics.pdf", "referral", refer, "Valid for one quarter"),
              document("Letter from Dr Placeholder.pdf", "correspondence", knee),
              document("IMG_2041.jpg", "summary", sheet, "Photo of the exercise sheet"),
              reason="Knee pain, first appointment", date=p.on(120), visit_type="Specialist",
              location=ORTHOPAEDICS.name, practitioner=TOM, diagnosis="Kneecap pain, left",
              treatment_plan="Physiotherapy twice a week."),
        visit(reason="Annual check-up", date=p.on(398), visit_type="Primary care", location=FAMILY.name,
              practitioner=IRIS, diagnosis="Healthy", follow_up_instructions="Again in a year."),
        visit(reason="Travel advice", date=p.on(522), visit_type="Telehealth", practitioner=IRIS,
              location="By video"),
    )  # fmt: skip


EXERCISES = (
    "1  Straighten the leg, hold 5 seconds", "    3 times 10, every day", "",
    "2  Small squats at the wall", "    3 times 8, back stays on the wall", "",
    "3  Step up and down slowly", "    3 times 10, each side", "",
    "4  Stretch the thigh, 30 seconds", "    twice each side", "",
    "Stop if it hurts more than 3 of 10.", "Next appointment: bring this sheet.",
)  # fmt: skip


def nora_procedures(p: Person) -> Records:
    report = p.letter(HOSPITAL, "X-ray of the left knee", 112, "# Question",
                      "Pain in front, when climbing stairs.",
                      "# Finding", "Normal joint space. No fracture. Kneecap in place.", "# Opinion",
                      "An unremarkable knee.", "~ Dr. Rhea Specimen")  # fmt: skip
    picture = partial(xray, p.name, p.born, p.on(112), "KNEE", 4711)
    filling = p.letter(DENTIST, "Invoice", 260, (BILL, ("Filling, two surfaces", "140.00", "98.00", "42.00")),
                       "Payable within 30 days. Thank you.")  # fmt: skip
    return (
        procedure(document("Knee left, from the front.dcm", "image", picture,
                           "Original from the hospital’s CD"),
                  document("X-ray report.pdf", "report", report),
                  procedure_name="Knee X-ray, left", date=p.on(112), procedure_type="Imaging",
                  status="Completed", procedure_code="73560", facility=HOSPITAL.name,
                  practitioner="Dr. Rhea Specimen", description="Two views, standing.",
                  outcome="Nothing broken, normal joint space."),
        procedure(document("Invoice filling.pdf", "billing", filling),
                  procedure_name="Filling, upper left", date=p.on(263), procedure_type="Dental",
                  status="Completed", facility=DENTIST.name, practitioner=PAUL,
                  outcome="No complaints afterwards."),
        procedure(procedure_name="Flu vaccination", date=p.on(48), procedure_type="Vaccination",
                  status="Completed", facility=FAMILY.name, practitioner=IRIS),
    )  # fmt: skip


def nora_insurance(p: Person) -> Records:
    facts = (("Member", p.name), ("Member ID", "EX-0004711"), ("Plan", "Family Complete"),
             ("Group", "SAMPLE-77"), ("Effective date", p.on(700).isoformat()), ("Copay", "20"))  # fmt: skip
    back = ("Show this card at every visit.", "Members: 555-0176, day and night", "Practices: 555-0177",
            "Example Mutual Health, Box 100, Exampleton",
            "This card is invented and covers nothing.")  # fmt: skip
    bill = (BILL, ("X-ray of the knee", "180.00", "160.00", "20.00"),
            ("Specialist visit", "95.00", "75.00", "20.00"),
            ("Total", "275.00", "235.00", "40.00!"))  # fmt: skip
    cover = p.letter(MUTUAL, "Your policy", 700, "# What is covered",
                     "Visits, tests, hospital and medicines.",
                     "# What you pay", "20 for each visit, at most 1,000 a year.", "---", "# Not covered",
                     "Glasses, and anything that happened before the first day.", "~ The board")  # fmt: skip
    paid = p.letter(MUTUAL, "Explanation of benefits", 98, "This is not a bill.", bill)
    asked = p.letter(MUTUAL, "Claim form", 109, "[x] I ask for payment of the costs named below.",
                     "[ ] Accident",
                     "X-ray of the knee, 180.00", "~ Nora Sample")  # fmt: skip
    return (
        insurance(document("Insurance card front.jpg", "card",
                           partial(card_front, MUTUAL.name, MUTUAL.colour, facts)),
                  document("Insurance card back.jpg", "card", partial(card_back, back)),
                  document("Policy.pdf", "policy", cover, "Conditions, two pages"),
                  document("Claim knee X-ray.pdf", "claim", asked),
                  document("Explanation of benefits.pdf", "eob", paid,
                           "For the knee X-ray and the specialist"),
                  insurance_type="Medical", company_name=MUTUAL.name, member_name=p.name,
                  member_id="EX-0004711", effective_date=p.on(700), plan_name="Family Complete",
                  group_number="SAMPLE-77", status="Active", employer_group="Sampleton Book Shop",
                  policy_holder_name=p.name, relationship_to_holder="Self", is_primary=True,
                  contact_info=contact(MUTUAL)),
        insurance(insurance_type="Dental", company_name=SPECIMEN.name, member_name=p.name,
                  member_id="SD-20731", effective_date=p.on(900), expiration_date=p.on(170), status="Expired",
                  is_primary=False, plan_name="Smile Basic", contact_info=contact(SPECIMEN),
                  notes="Cancelled; included in the new plan."),
    )  # fmt: skip


def martin_labs(p: Person) -> Records:
    fats = (VALUES, ("Cholesterol", "224 high!", "mg/dL", "below 200"),
            ("LDL", "142 high!", "mg/dL", "below 116"),
            ("HDL", "48", "mg/dL", "above 40"), ("Triglycerides", "168", "mg/dL", "below 150"))  # fmt: skip
    sugar = (VALUES, ("HbA1c", "5.6", "%", "below 5.7"), ("Glucose, fasting", "97", "mg/dL", "70 – 99"))
    table = partial(workbook, (("Year", "Cholesterol", "LDL"), ("before last", 247, 168), ("last", 236, 155),
                               ("this", 224, 142), ("Sample – not real values", "", "")))  # fmt: skip
    return (
        lab(document("Cholesterol.pdf", "result", p.letter(LABORATORY, "Blood lipids", 21, fats, CHECKED)),
            document("Cholesterol over three years.xlsx", "document", table, "My own table"),
            test_name="Cholesterol", labs_result="LDL 142 mg/dL, high", status="Completed",
            test_category="Blood", test_code="57698-3", facility=LABORATORY.name, practitioner=IRIS,
            ordered_date=p.on(25), completed_date=p.on(21)),
        lab(document("Blood sugar.pdf", "result", p.letter(LABORATORY, "Blood sugar", 21, sugar, CHECKED)),
            test_name="Blood sugar", labs_result="HbA1c 5.6 %", status="Completed", test_category="Blood",
            test_code="4548-4", facility=LABORATORY.name, practitioner=IRIS, completed_date=p.on(21)),
        lab(document("Blood pressure at home.csv", "document", partial(blood_pressure_csv, p.on(9)),
                     "Two months, twice a day"),
            test_name="Blood pressure diary", labs_result="Getting better", status="Completed",
            test_type="Home", completed_date=p.on(9), practitioner=IRIS),
        lab(test_name="Kidney values", status="In progress", test_category="Blood", facility=LABORATORY.name,
            ordered_date=p.on(2), practitioner=IRIS),
    )  # fmt: skip


def martin_visits(p: Person) -> Records:
    tablets = (MEDICINE, ("Samplopril 5 mg", "1 tablet", "in the morning", "until the next visit"))
    summary = p.letter(FAMILY, "Summary of your visit", 63, "# Finding",
                       "Blood pressure 152/94 mmHg, measured twice.",
                       "# Plan", "Measure at home for two months, less salt, a walk every day.",
                       "~ " + IRIS)  # fmt: skip
    text = partial(notes, (
        "Notes from the phone call with the practice", "", "- average of the last two weeks: 134/83",
        "- stay with 5 mg", "- bring the cuff to the next visit and compare",
        "- next blood test in three months",
    ))  # fmt: skip
    advice = partial(word, ("Questions for the next visit", "Is coffee before measuring a problem?",
                            "How long do I take the tablets?", "Sample – not a real document"))  # fmt: skip
    stay = p.letter(HOSPITAL, "Emergency department: letter to go home", 304, "Cut on the right hand, 3 cm.",
                    "Cleaned, four stitches. Tetanus protection is up to date.",
                    "Stitches out after ten days.",
                    "~ Dr. Ada Specimen")  # fmt: skip
    return (
        visit(document("Visit summary.pdf", "summary", summary),
              document("Phone call.txt", "correspondence", text),
              document("Prescription.pdf", "prescription", p.letter(FAMILY, "Prescription", 63, tablets,
                                                                    "~ " + IRIS)),
                                                                    document("Questions for next time.docx",
                                                                             None, advice),
              reason="High blood pressure", date=p.on(63), visit_type="Primary care", location=FAMILY.name,
              practitioner=IRIS, diagnosis="High blood pressure, newly found",
              treatment_plan="Samplopril 5 mg, home readings.",
              follow_up_instructions="Come back in three months."),
        visit(document("Letter to go home.pdf", "summary", stay), reason="Cut hand", date=p.on(304),
              visit_type="Emergency", location=HOSPITAL.name, practitioner="Dr. Ada Specimen",
              chief_complaint="Cut while opening an oyster.", treatment_plan="Four stitches."),
        visit(reason="Skin check", date=p.on(410), visit_type="Specialist",
              location="Sampleton Skin Practice"),
    )  # fmt: skip


def martin_procedures(p: Person) -> Records:
    agreed = p.letter(HOSPITAL, "Consent to a gastroscopy", 76, "[x] The examination was explained to me.",
                      "[x] I could ask my questions.", "[x] I wish for a short sedation.",
                      "[ ] I decline sedation.",
                      "~ Martin Sample", "~ Dr. Rhea Specimen")  # fmt: skip
    before = p.letter(HOSPITAL, "Before your gastroscopy", 80, "# The evening before",
                      "A light meal until 6 pm.",
                      "# On the day",
                      "Nothing to eat; clear water until two hours before.",
                      "Someone drives you home.")  # fmt: skip
    report = p.letter(HOSPITAL, "Gastroscopy report", 74, "# Finding", "Gullet and stomach unremarkable.",
                      "# Opinion", "Mild irritation, no treatment needed.",
                      "~ Dr. Rhea Specimen")  # fmt: skip
    return (
        procedure(document("Consent.pdf", "consent", agreed),
                  document("Before the examination.pdf", "instructions", before),
                  document("Report.pdf", "report", report, "No treatment needed"),
                  procedure_name="Gastroscopy", date=p.on(74), procedure_type="Endoscopy", status="Completed",
                  procedure_code="43235", facility=HOSPITAL.name, practitioner="Dr. Rhea Specimen",
                  outcome="Mild irritation of the stomach."),
        procedure(procedure_name="Stitches removed", date=p.on(294), procedure_type="Surgery",
                  status="Completed", facility=FAMILY.name, practitioner=IRIS),
        procedure(procedure_name="Dental cleaning", date=p.on(-26), procedure_type="Dental", status="Planned",
                  facility=DENTIST.name, practitioner=PAUL),
    )  # fmt: skip


def martin_insurance(p: Person) -> Records:
    facts = (
        ("Member", p.name),
        ("Member ID", "EX-0004712"),
        ("Plan", "Family Complete"),
        ("Group", "SAMPLE-77"),
    )
    bill = (BILL, ("Gastroscopy", "620.00", "580.00", "40.00"), ("Sedation", "90.00", "90.00", "0.00"))
    return (
        insurance(document("Card.jpg", "card", partial(card_front, MUTUAL.name, MUTUAL.colour, facts)),
                  document("Benefits gastroscopy.pdf", "eob",
                           p.letter(MUTUAL, "Explanation of benefits", 58, bill)),
                  insurance_type="Medical", company_name=MUTUAL.name, member_name=p.name,
                  member_id="EX-0004712", effective_date=p.on(700), plan_name="Family Complete",
                  group_number="SAMPLE-77", status="Active", policy_holder_name="Nora Sample",
                  relationship_to_holder="Spouse", is_primary=True, contact_info=contact(MUTUAL)),
    )  # fmt: skip
