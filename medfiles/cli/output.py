"""Command output: sentences, or JSON with --json; errors without a traceback."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from medfiles.errors import MedfilesError

FINDINGS = 1
NOT_READY = "The database is unavailable, or its tables are missing. Create them with `flask db upgrade`."


def summary(as_json: bool, sentence: str, *, ok: bool = True, **facts: Any) -> None:
    """Print the result of a command; unless it is `ok`, exit with status 1."""
    click.echo(json.dumps(facts, default=str) if as_json else sentence)
    if not ok:
        sys.exit(FINDINGS)


def with_summary(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that ends with a `summary` the option --json, and report its errors."""
    return click.option("--json", "as_json", is_flag=True, help="Print a JSON summary.")(report_errors(command))


def report_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Report known errors as one line on standard error, exit status 1."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except MedfilesError as error:
            raise click.ClickException(error.message) from error
        except (OperationalError, ProgrammingError) as error:
            raise click.ClickException(NOT_READY) from error

    return run
