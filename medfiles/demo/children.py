"""Ella and Theo Sample: the children of the demo family, with their records."""

from datetime import date
from functools import partial

from medfiles.demo.base import DemoPatient, DemoRecord, Person, document, insurance, lab, procedure, visit
from medfiles.demo.pictures import growth_chart, sheet_photo
from medfiles.demo.places import (
    CHECKED,
    CHILDREN,
    DENTIST,
    HOSPITAL,
    LABORATORY,
    MEDICINE,
    MIRA,
    MUTUAL,
    PAUL,
    VALUES,
    contact,
)

Records = tuple[DemoRecord, ...]


def ella(today: date) -> DemoPatient:
    person = Person("Ella", today, age=9, days_since_birthday=88)
    kinds = ella_labs(person), ella_visits(person), ella_procedures(person), covered(person, "EX-0004713")
    return person.patient("Female", "Hay fever in spring; has an inhaler at school.", *kinds)


def theo(today: date) -> DemoPatient:
    person = Person("Theo", today, age=4, days_since_birthday=203)
    kinds = theo_labs(person), theo_visits(person), theo_procedures(person), covered(person, "EX-0004714")
    return person.patient("Male", None, *kinds)


def ella_labs(p: Person) -> Records:
    pollen = (VALUES, ("Birch", "class 4 high!", "sIgE", "class 0"),
              ("Grass", "class 3 high!", "sIgE", "class 0"),
              ("House dust mite", "class 0", "sIgE", "class 0"),
              ("Cat", "class 1", "sIgE", "class 0"))  # fmt: skip
    report = p.letter(LABORATORY, "Allergy blood test", 150, pollen, "Birch and grass pollen.", CHECKED)
    return (
        lab(document("Allergy test.pdf", "result", report, "Birch 4, grass 3"),
            test_name="Allergy test", labs_result="Birch and grass", status="Completed",
            test_category="Blood", facility=LABORATORY.name, practitioner=MIRA, ordered_date=p.on(156),
            completed_date=p.on(150)),
        lab(test_name="Throat swab", labs_result="Negative", status="Completed", test_category="Microbiology",
            facility=CHILDREN.name, practitioner=MIRA, completed_date=p.on(233)),
    )  # fmt: skip


def ella_visits(p: Person) -> Records:
    spray = (MEDICINE, ("Examplasone nasal spray", "1 puff each side", "evening", "March to June"),
             ("Samplamol inhaler", "2 puffs", "if needed", "as needed"))  # fmt: skip
    summary = p.letter(CHILDREN, "Allergy consultation", 143, "# Finding",
                       "Sneezing and itchy eyes each spring.",
                       "# Plan", "Nasal spray in the pollen season, windows closed at night.",
                       "~ " + MIRA)  # fmt: skip
    heights = (
        (0, 51.0),
        (1, 75.5),
        (2, 87.0),
        (3, 95.5),
        (4, 103.0),
        (5, 110.0),
        (6, 116.5),
        (7, 122.0),
        (8, 128.0),
        (9, 133.5),
    )
    school = p.letter(CHILDREN, "For the school", 140, "Ella carries an inhaler and may use it by herself.",
                      "If it does not help within ten minutes, call the parents: 555-0199.",
                      "~ " + MIRA)  # fmt: skip
    return (
        visit(document("Allergy consultation.pdf", "summary", summary),
              document("For the school.pdf", "correspondence", school),
              document("Prescription.pdf", "prescription", p.letter(CHILDREN, "Prescription", 143, spray,
                                                                    "~ " + MIRA)),
                                                                    reason="Allergy consultation",
                                                                    date=p.on(143), visit_type="Specialist",
                                                                    location=CHILDREN.name,
              practitioner=MIRA, diagnosis="Hay fever", treatment_plan="Nasal spray from March to June."),
        visit(document("Growth.png", "summary", partial(growth_chart, "Ella: height by age", heights),
                       "From birth to nine"),
              reason="Check-up at nine", date=p.on(80), visit_type="Primary care", location=CHILDREN.name,
              practitioner=MIRA, diagnosis="Healthy; 133.5 cm"),
        visit(reason="Sore throat", date=p.on(233), visit_type="Primary care", location=CHILDREN.name,
              practitioner=MIRA),
    )  # fmt: skip


def ella_procedures(p: Person) -> Records:
    ticks = p.letter(DENTIST, "Consent to fissure sealing", 190, "[x] We agree to sealing four molars.",
                     "[x] Questions were answered.", "~ Nora Sample", "~ " + PAUL)  # fmt: skip
    return (
        procedure(document("Consent.pdf", "consent", ticks), procedure_name="Sealing of molars",
                  date=p.on(188), procedure_type="Dental", status="Completed", facility=DENTIST.name,
                  practitioner=PAUL),
        procedure(procedure_name="Tetanus booster", date=p.on(80), procedure_type="Vaccination",
                  status="Completed", facility=CHILDREN.name, practitioner=MIRA),
    )  # fmt: skip


def theo_labs(p: Person) -> Records:
    blood = (VALUES, ("White cells", "13.8 high!", "10^9/L", "5.0 – 12.0"),
             ("CRP", "18 high!", "mg/L", "below 5"),
             ("Haemoglobin", "12.1", "g/dL", "11.0 – 14.0"))  # fmt: skip
    return (
        lab(document("Blood test.pdf", "result", p.letter(LABORATORY, "Blood test", 55, blood, CHECKED)),
            test_name="Blood test with fever", labs_result="Slight inflammation", status="Completed",
            test_category="Blood", facility=LABORATORY.name, practitioner=MIRA, completed_date=p.on(55)),
        lab(test_name="Urine test strip", labs_result="Normal", status="Completed", test_category="Urine",
            facility=CHILDREN.name, practitioner=MIRA, completed_date=p.on(55)),
    )  # fmt: skip


def theo_visits(p: Person) -> Records:
    juice = (MEDICINE, ("Examplofen juice 2 %", "5 ml", "with fever, at most 3 a day", "3 days"))
    summary = p.letter(CHILDREN, "Visit summary", 55,
                       "Fever of 39.4 °C for two days; ear drum red on the right.",
                       "# Come back if", "the fever lasts longer than three days, or he drinks little.",
                       "~ " + MIRA)  # fmt: skip
    plan = partial(sheet_photo, "Fever: what to do", (
        "Drink often, small sips", "Light clothes, no thick blanket", "Juice 5 ml if he feels unwell", "",
        "Mon 18:00   39.4    5 ml", "Tue 07:00   38.2    -", "Tue 18:30   38.9    5 ml",
        "Wed 08:00   37.1    -",
    ), p.on(54))  # fmt: skip
    hearing = p.letter(CHILDREN, "Referral: hearing test", 40, "After an ear infection, please test.", "~ " + MIRA)
    return (
        visit(document("Visit summary.pdf", "summary", summary),
              document("Prescription juice.pdf", "prescription",
                       p.letter(CHILDREN, "Prescription", 55, juice, "~ " + MIRA)),
              document("IMG_2188.jpg", "summary", plan, "The sheet on our fridge"),
              reason="Fever and earache", date=p.on(55), visit_type="Primary care", location=CHILDREN.name,
              practitioner=MIRA, diagnosis="Middle ear infection, right",
              treatment_plan="Wait and watch, juice for fever."),
        visit(document("Referral hearing test.pdf", "referral", hearing), reason="Ear check", date=p.on(40),
              visit_type="Primary care", location=CHILDREN.name, practitioner=MIRA),
        visit(reason="Check-up at four", date=p.on(196), visit_type="Primary care", location=CHILDREN.name,
              practitioner=MIRA),
    )  # fmt: skip


def theo_procedures(p: Person) -> Records:
    result = p.letter(HOSPITAL, "Hearing test", 12, (("Ear", "Result"), ("Right", "normal"),
                                                     ("Left", "normal")),
                      "No further test is needed.", "~ Dr. Ada Specimen")  # fmt: skip
    return (
        procedure(document("Hearing test.pdf", "report", result), procedure_name="Hearing test",
                  date=p.on(12), status="Completed", facility=HOSPITAL.name, practitioner="Dr. Ada Specimen",
                  outcome="Normal on both sides"),
    )  # fmt: skip


def covered(p: Person, number: str) -> Records:
    proof = p.letter(MUTUAL, "Confirmation of cover", 690,
                     f"{p.name} is covered with the policy of Nora Sample.",
                     "~ The board")  # fmt: skip
    return (
        insurance(document("Confirmation of cover.pdf", "correspondence", proof),
                  insurance_type="Medical", company_name=MUTUAL.name, member_name=p.name, member_id=number,
                  effective_date=p.on(700), plan_name="Family Complete", group_number="SAMPLE-77",
                  status="Active", policy_holder_name="Nora Sample", relationship_to_holder="Child",
                  is_primary=True, contact_info=contact(MUTUAL)),
    )  # fmt: skip
