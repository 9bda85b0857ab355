"""Format numbers as Excel does, for the common number formats (ECMA-376, 18.8.30 and 18.8.31)."""

import re
from decimal import ROUND_HALF_UP, Decimal

GENERAL = "General"
BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??",
    37: "#,##0 ;(#,##0)", 38: "#,##0 ;(#,##0)", 39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)",
    48: "##0.0E+0", 49: "@",
}  # fmt: skip
BRACKETS = re.compile(r"\[(?:Black|Blue|Cyan|Green|Magenta|Red|White|Yellow|Color ?\d+|\$[^\]]*)\]", re.I)
CURRENCY = re.compile(r"\[\$([^\]-]*)(?:-[^\]]*)?\]")
TOKEN = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|([#0?][#0?,]*(?:\.[#0?]*)?,*|\.[#0?]+)(E[+-]0+)?|(.)', re.S)
PLAIN = " $€£¥-+/():!^&'~{}<>=%.,;\u00a0"  # characters that stand for themselves


class Unsupported(ValueError):
    """The format is none of the common ones."""


def format_number(value: float, code: str) -> str:
    """Return the number in this format. Raises `Unsupported` if the format is not a common one."""
    sections = split_sections(CURRENCY.sub(r'"\1"', code))
    if value < 0 and len(sections) > 1:
        return apply(-value, sections[1])
    if value == 0 and len(sections) > 2:
        return apply(value, sections[2])
    text = apply(abs(value), sections[0])
    return f"-{text}" if value < 0 and re.search("[1-9]", text) else text


def split_sections(code: str) -> list[str]:
    """Split at the semicolons outside of quotes."""
    return [part.replace("\0", ";") for part in re.sub(r'"[^"]*"', keep_semicolons, code).split(";")]


def keep_semicolons(quoted: re.Match[str]) -> str:
    return quoted[0].replace(";", "\0")


def apply(value: float, section: str) -> str:
    section = BRACKETS.sub("", section)
    if section.strip().lower() in ("general", "@"):
        return f"{value:.15g}"
    shown, numbers = "", 0
    percent = re.sub(r'"[^"]*"|\\.', "", section).count("%")
    for token in TOKEN.finditer(section):
        quoted, escaped, digits, exponent, other = token.groups()
        if digits:
            numbers += 1
            shown += write_digits(value * 100**percent, digits, exponent)
        elif other and other not in PLAIN:
            raise Unsupported(section)
        else:
            shown += quoted or escaped or other or (" " if token[0].startswith("_") else "")
    if numbers > 1 or (not numbers and value):
        raise Unsupported(section)
    return shown.strip()


def write_digits(value: float, pattern: str, exponent: str | None) -> str:
    thousands = len(pattern) - len(pattern.rstrip(","))  # commas at the end divide by a thousand each
    whole, _, fraction = pattern.rstrip(",").partition(".")
    least, most = fraction.count("0"), len(fraction)
    number = Decimal(repr(value)) / Decimal(1000) ** thousands
    power = ""
    if exponent:
        size = number.adjusted() if number else 0
        number, digits = number.scaleb(-size), exponent.count("0")
        power = f"E{'-' if size < 0 else '+' if '+' in exponent else ''}{abs(size):0{digits}d}"
    rounded = number.quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP)
    before, _, after = f"{rounded:f}".partition(".")
    while len(after) > least and after.endswith("0"):
        after = after[:-1]
    before = before.lstrip("0").rjust(whole.count("0"), "0")
    if "," in whole:
        before = re.sub(r"(?<=\d)(?=(?:\d{3})+$)", ",", before)
    return before + ("." + after if "." in pattern else "") + power
