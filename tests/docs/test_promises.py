"""What the documentation must not leave unsaid: limits of erasure, retries, and what lies on other disks."""

import pytest

from tests.docs.pages import DOCS

SAID = (
    ("api.md", "-F file=@note.txt -F category=summary --retry 5"),
    ("operate/background-jobs.md", "backups", "archives of PostgreSQL's WAL", "buckets with versioning"),
    ("operate/audit-log.md", "Backups and exports made before hold the names"),
    ("security.md", "Backups and exports made earlier still hold them"),
    ("security.md", "nginx keeps uploads until they are complete", "in temporary files"),
)


@pytest.mark.parametrize(("page", "sentences"), [(page, sentences) for page, *sentences in SAID])
def test_a_page_says_it(page: str, sentences: list[str]) -> None:
    text = " ".join((DOCS / page).read_text().split())
    assert [words for words in sentences if words not in text] == []
