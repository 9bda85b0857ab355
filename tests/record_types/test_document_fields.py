"""A new detail of documents is one entry, one column and one migration: it is in forms, API, lists and search."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from medfiles.record_types.document_fields import DOCUMENT_FIELDS

ROOT = Path(__file__).parents[2]
PROBE = "tests/record_types/new_document_fields.py"
PARTS = ("medfiles", "migrations", "static", "templates", "tests")
ENTRIES = """
    DocumentField(
        "page_label", "Page label", limit=40, about="What is printed on the page", search=True, sort=True, filter=True,
    ),
    DocumentField("paper_date", "Date on the paper", "date", about="The date on the paper", sort=True, filter=True),
)  # fmt: skip
UPLOAD_FIELDS"""
COLUMNS = """
    page_label: Mapped[str | None] = mapped_column(CodePoints)
    paper_date: Mapped[date | None]
    uploaded_at:"""
MIGRATION = '''"""Add page label and date on the paper."""

import sqlalchemy as sa
from alembic import op

revision = "add_document_fields"
down_revision = {before!r}
branch_labels = depends_on = None
TEXT = sa.String(500).with_variant(sa.String(500, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("entity_files", sa.Column("page_label", TEXT))
    op.add_column("entity_files", sa.Column("paper_date", sa.Date))


def downgrade() -> None:
    op.drop_column("entity_files", "paper_date")
    op.drop_column("entity_files", "page_label")
'''


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_field_with_one_entry_column_and_migration_is_everywhere(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.cfg", "wsgi.py"):
        shutil.copy(ROOT / file, copy)
    edit(copy / "medfiles/record_types/document_fields.py", "\n)  # fmt: skip\nUPLOAD_FIELDS", ENTRIES)
    edit(copy / "medfiles/models/documents.py", "\n    uploaded_at:", COLUMNS)
    versions = copy / "migrations/versions"
    newest = max(path for path in versions.glob("[0-9]*.py")).read_text()
    [before] = re.findall(r"""^revision(?:: str)? = ["'](\w+)["']""", newest, re.MULTILINE)
    (versions / "9999_document_fields.py").write_text(MIGRATION.format(before=before))
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "--show-capture=no", "-p", "no:cacheprovider", PROBE]
    environ = {**os.environ, "PYTHONPATH": str(copy)}
    tried = subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, timeout=600)
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert re.search(r"\b6 passed", tried.stdout)


def test_details_of_documents_keep_their_names() -> None:
    assert [field.name for field in DOCUMENT_FIELDS] == ["file_name", "description", "category", "document_date"]
