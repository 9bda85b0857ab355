"""Command output: text, or JSON with --json. Errors are reported without a traceback."""

import json
import sys
from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from medfiles.errors import DatabaseUnavailable, MedfilesError

FINDINGS = 1
NOT_READY = "The database is unavailable, or its tables are missing. Create them with `flask db upgrade`."


class Failure(click.ClickException):
    """The error from a failed command. `code` is the same as in the API, or "usage" for incorrect usage."""

    def __init__(self, message: str, code: str, as_json: bool, exit_code: int = FINDINGS) -> None:
        super().__init__(message)
        self.code, self.as_json = code, as_json
        self.exit_code = exit_code  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        if self.as_json:
            click.echo(json.dumps({"error": {"code": self.code, "message": self.message}}))
        else:
            super().show(file)


def summary(as_json: bool, sentence: str, *, ok: bool = True, **facts: Any) -> None:
    """Print the result of a command. Exit with status 1 unless `ok`."""
    click.echo(json.dumps(facts, default=_plain) if as_json else sentence)
    if not ok:
        sys.exit(FINDINGS)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def with_summary(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the --json option to a command that ends with `summary`, and report its errors."""
    return click.option("--json", "as_json", is_flag=True, help="Print a JSON summary.")(report_errors(command))


def report_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Report known errors as one line on standard error or, with --json, as an object on standard output.

    The exit status is then 1, or 2 for incorrect usage.
    """

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        as_json = options.get("as_json", False)
        try:
            return command(*arguments, **options)
        except MedfilesError as error:
            raise Failure(error.message, error.code, as_json) from error
        except (OperationalError, ProgrammingError) as error:
            raise Failure(NOT_READY, DatabaseUnavailable.code, as_json) from error
        except click.UsageError as error:
            if not as_json:
                raise
            raise Failure(error.message, "usage", as_json, error.exit_code) from error

    return run
