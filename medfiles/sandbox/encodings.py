"""Guess the encoding of text that does not declare it, by the letters of languages."""

import codecs
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from charset_normalizer import from_bytes

SAMPLE = 64 * 1024
JAPANESE_ESCAPES = (b"\x1b$B", b"\x1b$@", b"\x1b(J", b"\x1b$(D")
JAPANESE_MAIL = "iso2022_jp_2"
SURE, FREQUENT, RARE = 0.9, 1.0, 0.8
# The name of each encoding for readers, the likely ones first
NAMES: Mapping[str, str] = {
    "cp1252": "Western European (Windows-1252)",
    "cp1250": "Central European (Windows-1250)",
    "iso8859_2": "Central European (ISO 8859-2)",
    "cp1254": "Turkish (Windows-1254)",
    "cp1251": "Cyrillic (Windows-1251)",
    "koi8_r": "Cyrillic (KOI8-R)",
    "cp866": "Cyrillic (DOS 866)",
    "cp1253": "Greek (Windows-1253)",
    "cp1255": "Hebrew (Windows-1255)",
    "cp1256": "Arabic (Windows-1256)",
    "cp874": "Thai (Windows-874)",
    "cp932": "Japanese (Shift JIS)",
    "euc_jp": "Japanese (EUC)",
    JAPANESE_MAIL: "Japanese (ISO 2022)",
    "gb18030": "Chinese, simplified (GB 18030)",
    "big5hkscs": "Chinese, traditional (Big5)",
    "cp949": "Korean (EUC-KR)",
    "mac_roman": "Western European (Mac)",
    "mac_latin2": "Central European (Mac)",
    "cp850": "Western European (DOS 850)",
    "utf_8": "Unicode (UTF-8)",
    "utf_16_le": "Unicode (UTF-16)",
}
WESTERN = (
    "äöüß", "éèêàçùûîôëïœâæÿ", "áéíóúñü¿¡ªº", "áâãàçéêíóôõúªº", "åæøé", "åäöé", "áéíóúýþæöð", "àèéìòùî",
    "áéíóúàèòïüç·", "äöõüšž", "éëïöüèáóí",
)  # fmt: skip
CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áéíóöőúüű", "čćđšž", "äáčďéíĺľňóôŕšťúýž", "ăâîşţșț", "äöüß")
TURKISH = ("çğıöşüâîû",)
CYRILLIC = ("абвгдежзийклмнопрстуфхцчшщъыьэюяё", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "абвгдђежзијклљмнњопрстћуфхцчџш")
OFTEN: Mapping[str, str] = {
    "cyrillic": "оеаинтсрвлк",
    "greek": "αοιετσνηυρ",
    "hebrew": "יוהלאמרתבשנםדקע",
    "arabic": "اليمونترب",
    "thai": "านรกอเงวยมลทสตะดปคหบ่้ีัิ",
}
LETTERS: Mapping[str, tuple[tuple[str, ...], str]] = {  # encoding: alphabets of its languages, frequent letters
    "cp1252": (WESTERN, ""),
    "cp1250": (CENTRAL, ""),
    "iso8859_2": (CENTRAL, ""),
    "cp1254": (TURKISH, ""),
    "cp1251": (CYRILLIC, OFTEN["cyrillic"]),
    "koi8_r": (CYRILLIC, OFTEN["cyrillic"]),
    "cp866": (CYRILLIC, OFTEN["cyrillic"]),
    "cp1253": (("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",), OFTEN["greek"]),
    "cp1255": (("".join(map(chr, range(0x5B0, 0x5EB))),), OFTEN["hebrew"]),
    "cp1256": (("".join(map(chr, range(0x621, 0x653))) + "پچژگ‌",), OFTEN["arabic"]),
    "cp874": (("".join(map(chr, range(0xE01, 0xE4D))),), OFTEN["thai"]),
    "mac_roman": (WESTERN, ""),
    "mac_latin2": (CENTRAL, ""),
    "cp850": (WESTERN, ""),
}
# Of two bytes, the first is in this range for common characters, and the second in this one for all of them
COMMON: Mapping[str, tuple[range, range]] = {
    "cp932": (range(0x81, 0x98), range(0x40, 0xFD)),
    "euc_jp": (range(0xA1, 0xD0), range(0xA1, 0xFF)),
    "gb18030": (range(0xA1, 0xD8), range(0xA1, 0xFF)),
    "big5hkscs": (range(0xA1, 0xC7), range(0x40, 0xFF)),
    "cp949": (range(0xA1, 0xC9), range(0xA1, 0xFF)),
}
KANA, HAN, HANGUL = "\u3041-\u30ff", "\u4e00-\u9fff", "\uac00-\ud7a3"
SCRIPTS: Mapping[str, str] = {
    "cp932": KANA + HAN, "euc_jp": KANA + HAN, "gb18030": HAN, "big5hkscs": HAN, "cp949": HANGUL,
}  # fmt: skip
FULL_WIDTH = "\u3000-\u303f\uff01-\uff60\u2018-\u201d\u2026\u2103\u00b0-\u00b7"
SIGNS = set("°µμ²³±§€£–—…·•«»„“”‘’‚‹›×÷½¼¾№®©™\u00a0\u00ad¿¡º")
IMPOSSIBLE = re.compile(
    "(?<![\u0e01-\u0e4e])[\u0e30-\u0e3a\u0e47-\u0e4c]|[\u0e40-\u0e44](?![\u0e01-\u0e2e])|[ךםןףץς]\\w"
)
GREEK, ACCENTS, UNLIKELY = re.compile("[α-ω]"), re.compile("[ΆΈ-Ώά-ήίόύώ]"), 0.15
STRANGE = re.compile(r"[^\W\d_][°±²³§€£…•«»×÷½¼¾®©™¡¿†‡‰¤¦¨¬¯¶¸¹¢¥ˆ˜][^\W\d_]")


def guess_encoding(data: bytes) -> str | None:
    """Guess the encoding from the text around the first non-ASCII byte. None: it is probably not text."""
    first = next(place for place, byte in enumerate(data) if byte > 127)
    end = data.rfind(b"\n", first, first + SAMPLE) + 1 or first + SAMPLE
    sample = data[max(0, first - SAMPLE) : end]
    scores = sorted(((score, -place, name) for place, (name, score) in enumerate(rated(sample))), reverse=True)
    if scores and scores[0][0] >= SURE:
        return scores[0][2]
    found = from_bytes(sample)
    best = found.best()
    if best is None:
        return None
    coherence = {match.encoding: match.coherence for match in found}
    likely = max(scores, key=lambda one: (one[0] + coherence.get(one[2], 0), one[1]), default=None)
    return likely[2] if likely and likely[0] > 0.5 else best.encoding


def rated(sample: bytes) -> Iterator[tuple[str, float]]:
    """Yield each encoding in which the sample is valid, with how well it reads, 1 at most."""
    for name in NAMES:
        text = _decode_or_empty(sample, name) if name in LETTERS or name in COMMON else ""
        if text and name in COMMON:
            yield name, rate_pairs(sample, text, name)
        elif text:
            alphabets, often = LETTERS[name]
            yield name, max(rate_letters(text, alphabet, often) for alphabet in alphabets)


def rate_pairs(sample: bytes, text: str, name: str) -> float:
    """Rate text in an East Asian encoding by the share of characters that are in common use."""
    lead, trail = COMMON[name]
    foreign = [letter for letter in text if letter > "\x7f"]
    fitting = re.compile(f"[{SCRIPTS[name]}{FULL_WIDTH}]")
    good = sum(bool(fitting.match(letter)) and is_common(letter, name, lead, trail) for letter in foreign)
    has_kana = name in ("cp932", "euc_jp") and re.search("[\u3041-\u3093\u30a1-\u30f6]", text)
    half_width = len(re.findall("[\uff61-\uff9f]", text))
    native = 1.0 if has_kana or name not in ("cp932", "euc_jp") else 0.93
    if name == "gb18030":
        native = 0.98  # Korean text is valid Chinese as well
    if len(foreign) < 3:
        native -= 0.2
    return native * (good - half_width) / max(len(foreign), 1)


def is_common(letter: str, name: str, lead: range, trail: range) -> bool:
    try:
        pair = letter.encode(name)
    except UnicodeEncodeError:
        return False
    return len(pair) == 2 and pair[0] in lead and pair[1] in trail


def rate_letters(text: str, alphabet: str, often: str) -> float:
    """Rate text by the share of non-ASCII characters that belong to this language."""
    foreign = [letter for letter in text if letter > "\x7f"]
    letters = [letter for letter in foreign if letter.lower() in alphabet]
    signs = sum(letter in SIGNS and letter.lower() not in alphabet for letter in foreign)
    if not letters:
        return 0.92 * signs / len(foreign) if signs and not often and not STRANGE.search(text) else 0.0
    if often and len(letters) < max(3, len(foreign) / 2):
        return 0.0
    usual = sum(FREQUENT if not often or letter.lower() in often else RARE for letter in letters)
    odd: float = sum(a.islower() and b.isupper() and (a > "\x7f" or b > "\x7f") for a, b in pairwise(text))
    odd += len(STRANGE.findall(text))
    if often:  # letters of two scripts in one word, and what no word has
        odd += len(re.findall(f"[A-Za-z][{alphabet}]|[{alphabet}][A-Za-z]", text)) + len(IMPOSSIBLE.findall(text))
        shouted = all(letter.isupper() for letter in letters)
        odd += UNLIKELY * len(letters) * (shouted or bool(GREEK.search(text)) and not ACCENTS.search(text))
    return (usual + 0.95 * signs - odd) / len(foreign)


def is_japanese_mail(data: bytes) -> bool:
    """Return whether the text switches to Japanese by escape sequences, as in e-mail."""
    if not any(escape in data for escape in JAPANESE_ESCAPES):
        return False
    try:
        return bool(re.search(f"[{KANA}{HAN}]", data.decode(JAPANESE_MAIL)))
    except UnicodeDecodeError:
        return False


def _decode_or_empty(sample: bytes, encoding: str) -> str:
    """Decode the sample; return "" if it is invalid. The last character may be truncated."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return ""
