"""`flask medfiles user`: create and manage accounts."""

import sys

import click
from flask.cli import AppGroup

from medfiles.accounts import service as accounts
from medfiles.cli.output import json_option, report_errors, summary

group = AppGroup("user", help="Make and look after accounts.")
password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


def register(parent: AppGroup) -> None:
    parent.add_command(group)


@group.command()
@click.argument("email")
@password_stdin
@json_option
@report_errors
def create(email: str, password_stdin: bool, as_json: bool) -> None:
    """Make an account."""
    user = accounts.create(email, _password(password_stdin))
    summary(as_json, f"Made the account {user.email}.", id=user.id, email=user.email)


@group.command()
@click.argument("email")
@password_stdin
@json_option
@report_errors
def password(email: str, password_stdin: bool, as_json: bool) -> None:
    """Set a new password; every session of the account ends."""
    accounts.set_password(email, _password(password_stdin))
    summary(as_json, f"The password of {email} is changed; it is signed out everywhere.", email=email)


@group.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="Let the account sign in again.")
@json_option
@report_errors
def disable(email: str, undo: bool, as_json: bool) -> None:
    """Stop an account from signing in, at once; its records stay."""
    if undo:
        accounts.enable(email)
    else:
        accounts.disable(email)
    summary(as_json, f"{email} can sign in again." if undo else f"{email} cannot sign in any more.", email=email)


@group.command("second-step")
@click.argument("email")
@click.option("--off", is_flag=True, required=True, help="Ask for the password alone again.")
@json_option
@report_errors
def second_step(email: str, off: bool, as_json: bool) -> None:
    """Take the second step off an account whose phone was lost; it is signed out everywhere."""
    accounts.clear_second_step(email)
    summary(as_json, f"{email} signs in with the password alone now. Set the second step up anew.", email=email)


@group.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="Take the role back.")
@json_option
@report_errors
def admin(email: str, undo: bool, as_json: bool) -> None:
    """Let an account see how the installation is doing. It sees no more documents than before."""
    accounts.set_admin(email, not undo)
    summary(as_json, f"{email} {'is no longer' if undo else 'is now'} an admin.", email=email, admin=not undo)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
