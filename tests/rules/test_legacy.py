"""The older feature is known to `legacy` alone: the product works without it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = ("legacy", "api/legacy.py", "cli/legacy.py", "templates/legacy")
NAMED_IN = ("app.py", "api/__init__.py", "cli/__init__.py")  # one line each
TABLES = re.compile(r"LabResultFile|LegacyId|LegacySource|lab_result_files")
JOURNEY = """
import io
from pathlib import Path
import medfiles
from medfiles.app import create_app
from medfiles.accounts import service as accounts
from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, User

assert Path(medfiles.__file__).parent == Path("medfiles").resolve()
app = create_app()
assert not app.extensions["medfiles"].storages.attached
run = app.test_cli_runner().invoke


def done(*words):
    with app.app_context():
        result = run(args=words)
    assert result.exit_code == 0, (words, result.output, result.exception)
    return result.output


done("db", "upgrade")
with app.app_context(), transaction() as session:
    session.add(User(email="nora@sample.example", password="!", active=True, fs_uniquifier="nora"))
token = done("medfiles", "token", "create", "nora@sample.example", "--name", "test", "--scope", "write").split()[-1]
client = app.test_client()
with client.session_transaction() as session:
    session.update(_user_id="nora", _fresh=True)


def ask(method, path, status, **sent):
    headers = {"Authorization": f"Bearer {token}"} if path.startswith("/api/") else {}
    answer = client.open(path, method=method, buffered=True, headers=headers, **sent)
    assert answer.status_code == status, (method, path, answer.status, answer.data[:500])
    return answer


new = {"first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02"}
patient = ask("POST", "/api/v1/patients", 201, json=new).json["id"]
record = ask("POST", f"/api/v1/patients/{patient}/lab-results", 201, json={"test_name": "Blood count"}).json["id"]
sent = {"file": (io.BytesIO(b"4.5 per nl"), "count.txt")}
file = ask("POST", f"/api/v1/lab-result/{record}/files", 201, data=sent).json["id"]
assert [one["id"] for one in ask("GET", f"/api/v1/lab-result/{record}/files", 200).json] == [file]
assert ask("GET", f"/api/v1/files/{file}/download", 200).data == b"4.5 per nl"
assert ask("GET", f"/documents/files/{file}/download", 200).data == b"4.5 per nl"
ask("GET", "/documents/files/1/download", 404)
ask("GET", "/api/v1/lab-result-files/1/download", 404)
assert "1 document" in ask("GET", f"/documents/lab-result/{record}/badge", 200).text
assert "count.txt" in ask("GET", f"/documents/lab-result/{record}", 200).text
ask("GET", "/", 200)
ask("GET", f"/patients/{patient}", 200)
document = ask("GET", "/api/v1/openapi.json", 200).json
assert "/api/v1/files/{file_id}" in document["paths"]
assert "lab-result-files" not in str(document["paths"])
ask("DELETE", f"/api/v1/files/{file}", 200)
done("medfiles", "backup", "safe")
assert "migrate-lab-results" not in done("medfiles", "--help")
done("medfiles", "trash", "purge", "--older-than", "0m")
done("medfiles", "sweep")
done("medfiles", "verify", "--deep")
with app.app_context():
    assert db.session.query(EntityFile).count() == 0
"""


def test_without_the_legacy_package_the_product_works(tmp_path: Path) -> None:
    package = tmp_path / "medfiles"
    shutil.copytree(ROOT / "medfiles", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in OWN:
        place = package / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    for name in NAMED_IN:
        source = (package / name).read_text()
        source = re.sub(r"^ *legacy\.install\(.*\n", "", source, flags=re.MULTILINE)
        (package / name).write_text(re.sub(r'"?\blegacy\b"?,\s+', "", source))
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "MEDFILES_INSTANCE": str(tmp_path / "instance")}
    environ |= {"MEDFILES_SECRET_KEY": "a key of this test alone, long enough", "MEDFILES_HTTPS": "0"}
    environ |= {"MEDFILES_OCR": "off"}
    command = [sys.executable, "-W", "ignore", "-c", JOURNEY]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_only_legacy_asks_the_older_tables() -> None:
    package = ROOT / "medfiles"
    knowing = {
        path.relative_to(package).as_posix() for path in package.rglob("*.py") if TABLES.search(path.read_text())
    }
    outside = {name for name in knowing if not name.startswith("legacy/")}
    assert outside == {"models/__init__.py", "models/legacy.py", "config.py", "cli/legacy.py"}


def test_only_its_own_entry_points_import_legacy() -> None:
    package = ROOT / "medfiles"
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"medfiles\.legacy\b|from medfiles import .*\blegacy\b", path.read_text())
    }
    assert {name for name in importing if not name.startswith("legacy/")} == {
        "app.py", "api/legacy.py", "cli/legacy.py", "cli/medikeep.py",
    }  # fmt: skip
