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


@group.command("list")
@with_summary
def list_users(as_json: bool) -> None:
    """List all accounts: id, email, whether they can sign in, are admins and use two-step verification."""
    found = accounts.all_accounts()
    rows = [
        {
            "id": user.id, "email": user.email, "active": user.active, "admin": user.has_role(accounts.ADMIN),
            "two_step": bool(user.tf_primary_method),
        }
        for user in found
    ]  # fmt: skip
    notes = {"admin": "admin", "two_step": "two-step verification"}
    lines = []
    for row in rows:
        said = ["" if row["active"] else "disabled", *(text for name, text in notes.items() if row[name])]
        lines.append(f"{row['id']:>5}  {row['email']}  {', '.join(filter(None, said))}".rstrip())
    summary(as_json, "\n".join([*lines, f"{len(rows)} accounts."]), accounts=rows)


@group.command()
@click.argument("email")
@password_stdin
@with_summary
def password(email: str, password_stdin: bool, as_json: bool) -> None:
    """Set a new password and end all sessions of the account."""
    accounts.set_password(email, _password(password_stdin))
    summary(as_json, f"Password changed for {email}. All sessions of the account have ended.", email=email)


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
    """Turn off two-step verification for an account, for example after a lost phone, and end its sessions."""
    accounts.clear_second_step(email)
    summary(as_json, f"Two-step verification is off for {email}. Set it up again after the next sign-in.", email=email)


@group.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="Remove the role.")
@with_summary
def admin(email: str, undo: bool, as_json: bool) -> None:
    """Let an account open the status page. This does not give it access to more documents."""
    accounts.set_admin(email, not undo)
    summary(as_json, f"{email} {'is no longer' if undo else 'is now'} an admin.", email=email, admin=not undo)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


COMMANDS = (group,)
