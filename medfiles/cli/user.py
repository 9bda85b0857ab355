"""`flask medfiles user`: create and manage accounts."""

import sys

import click
from flask.cli import AppGroup

from medfiles.accounts import service as accounts
from medfiles.cli.output import summary, with_summary

group = AppGroup("user", help="Create and manage accounts.")
password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@group.command()
@click.argument("email")
@password_stdin
@with_summary
def create(email: str, password_stdin: bool, as_json: bool) -> None:
    """Create an account."""
    user = accounts.create(email, _password(password_stdin))
    summary(as_json, f"Created account {user.email}.", id=user.id, email=user.email)


@group.command()
@click.argument("email")
@password_stdin
@with_summary
def password(email: str, password_stdin: bool, as_json: bool) -> None:
    """Set a new password and end all sessions of the account."""
    accounts.set_password(email, _password(password_stdin))
    summary(as_json, f"Password of {email} changed. All its sessions have ended.", email=email)


@group.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="Let the account sign in again.")
@with_summary
def disable(email: str, undo: bool, as_json: bool) -> None:
    """Block an account from signing in, with immediate effect. Its records are kept."""
    if undo:
        accounts.enable(email)
    else:
        accounts.disable(email)
    summary(as_json, f"{email} can sign in again." if undo else f"{email} can no longer sign in.", email=email)


@group.command("second-step")
@click.argument("email")
@click.option("--off", is_flag=True, required=True, help="Require only the password.")
@with_summary
def second_step(email: str, off: bool, as_json: bool) -> None:
    """Turn off two-step verification of an account, for example after a lost phone, and end its sessions."""
    accounts.clear_second_step(email)
    summary(as_json, f"Two-step verification of {email} is off. Set it up again after the next sign-in.", email=email)


@group.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="Remove the role.")
@with_summary
def admin(email: str, undo: bool, as_json: bool) -> None:
    """Let an account open the status page. It gets no access to more documents."""
    accounts.set_admin(email, not undo)
    summary(as_json, f"{email} {'is no longer' if undo else 'is now'} an admin.", email=email, admin=not undo)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
