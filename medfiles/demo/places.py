"""The invented practices, laboratories and insurers of the demo family; none of them exists."""

from medfiles.demo.letters import Practice

FAMILY = Practice(
    "Harbour Lane Family Practice", "Dr. Iris Example · general practice",
    "12 Harbour Lane, Sampleton", "555-0110", "#0a6b78",
)  # fmt: skip
LABORATORY = Practice(
    "Northfield Sample Laboratory", "Clinical chemistry · haematology · microbiology",
    "3 Pipette Road, Sampleton", "555-0121", "#6b4fb8",
)  # fmt: skip
ORTHOPAEDICS = Practice(
    "Exampleton Orthopaedics", "Dr. Tom Placeholder · bones and joints",
    "40 Station Square, Exampleton", "555-0132", "#a04a12",
)  # fmt: skip
HOSPITAL = Practice(
    "Sampleton General Hospital", "Day surgery · imaging · emergency",
    "1 Hill Park, Sampleton", "555-0143", "#1f5fbf",
)  # fmt: skip
CHILDREN = Practice(
    "Little Oaks Children's Clinic", "Dr. Mira Example · paediatrics",
    "8 Acorn Street, Sampleton", "555-0154", "#1a6e40",
)  # fmt: skip
DENTIST = Practice(
    "Bright Sample Dental", "Dr. Paul Placeholder · dentistry",
    "21 Mint Alley, Sampleton", "555-0165", "#2b7a9b",
)  # fmt: skip
MUTUAL = Practice(
    "Example Mutual Health", "Member services",
    "Box 100, Exampleton", "555-0176", "#1f4e79",
)  # fmt: skip
SPECIMEN = Practice(
    "Specimen Dental Cover", "Member services",
    "Box 210, Exampleton", "555-0187", "#7a2f6f",
)  # fmt: skip

IRIS, TOM, MIRA, PAUL = "Dr. Iris Example", "Dr. Tom Placeholder", "Dr. Mira Example", "Dr. Paul Placeholder"

VALUES = ("Test", "Result", "Unit", "Usual range")
MEDICINE = ("Medicine", "How much", "When", "How long")
BILL = ("Service", "Billed", "Paid by plan", "You pay")
CHECKED = "Results were checked by the laboratory. Please discuss them with the doctor who ordered the test."


def contact(practice: Practice) -> dict[str, str]:
    site = practice.name.lower().replace(" ", "-")
    return {
        "phone": practice.phone,
        "email": f"members@{site}.example",
        "website": f"https://{site}.example",
        "address": practice.address,
    }
