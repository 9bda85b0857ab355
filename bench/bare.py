"""The yardstick: thirty lines of Flask that take an upload. No accounts, rows, checks; nothing is made durable."""

import os
import uuid
from pathlib import Path

from flask import Flask, Response, abort, jsonify, request, send_file

FOLDER = Path(os.environ.get("BARE_FOLDER", "."))
app = Flask(__name__)


@app.post("/files")
def upload() -> Response:
    file = request.files["file"]
    name = f"{uuid.uuid4()}{Path(file.filename or '').suffix}"
    file.save(FOLDER / name)
    return jsonify(name=name, size=(FOLDER / name).stat().st_size)


@app.get("/files/<name>")
def download(name: str) -> Response:
    path = FOLDER / Path(name).name
    if not path.exists():
        abort(404)
    return send_file(path, as_attachment=True)
