"""Every setting is explained to whoever runs the product, and nothing is explained that does not exist."""

import re
from pathlib import Path

from medfiles.config import PREFIX, SETTINGS

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "operate" / "settings.md"
NAMES = {setting.name for setting in SETTINGS}


def test_every_setting_has_a_row_of_its_own_in_the_guide() -> None:
    rows = set(re.findall(rf"^\|\s*`?({PREFIX}[A-Z_]+)`?\s*\|", GUIDE.read_text(), re.MULTILINE))
    assert rows == NAMES


def test_no_page_speaks_of_a_setting_that_does_not_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "Makefile", *(ROOT / "docs").rglob("*.md")]
    mentioned = {name for page in pages for name in re.findall(rf"{PREFIX}[A-Z_]+", page.read_text())}
    assert mentioned - NAMES == set()


def test_every_setting_says_what_it_is_for() -> None:
    assert [setting.name for setting in SETTINGS if len(setting.help) < 15] == []
