"""`flask medfiles token`: manage API tokens without a browser."""

from datetime import timedelta

import click
from flask.cli import AppGroup

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.cli.output import summary, with_summary
from medfiles.http.current import services
from medfiles.http.parameters import LARGEST_ID
from medfiles.links.service import LinkService
from medfiles.records.sharing import given_by_token

group = AppGroup("token", help="Create and revoke API tokens.")
YEAR = 365
DAYS = click.IntRange(0, api_tokens.MAX_LIFETIME.days)
NUMBER = click.IntRange(0, LARGEST_ID)


@group.command()
@click.argument("email")
@click.option("--name", required=True, help="Name of the token, shown to the account's owner.")
@click.option("--scope", type=click.Choice(api_tokens.SCOPES), default=api_tokens.READ, show_default=True)
@click.option("--patient", type=NUMBER, help="Limit the token to this patient. Default: all patients of the account.")
@click.option("--days", type=DAYS, default=YEAR, show_default=True, help="Days until the token expires; 0: never.")
@with_summary
def create(email: str, name: str, scope: str, patient: int | None, days: int, as_json: bool) -> None:
    """Create a token and print it once, as the last word of the line."""
    actor = accounts.actor_for(accounts.find(email))
    token, text = api_tokens.create(actor, name, scope, patient, timedelta(days=days) if days else None)
    sentence = f"Created token {token.id} “{token.name}” for {actor.email}: {text}"
    summary(as_json, sentence, id=token.id, name=token.name, scope=scope, expires_at=token.expires_at, token=text)


@group.command("list")
@click.argument("email")
@with_summary
def list_tokens(email: str, as_json: bool) -> None:
    """List an account's tokens with scope, expiry and last use."""
    found = api_tokens.list_tokens(accounts.actor_for(accounts.find(email)))
    names = ("id", "name", "scope", "patient_id", "created_at", "expires_at", "used_at", "suspended_at")
    rows = [{name: getattr(token, name) for name in names} for token in found]
    lines = [
        f"{row['id']:>5}  {row['scope']:<5}  expires {row['expires_at']}  used {row['used_at']}  "
        f"{'suspended  ' if row['suspended_at'] else ''}{row['name']}"
        for row in rows
    ]
    summary(as_json, "\n".join([*lines, f"{len(rows)} tokens."]), tokens=rows)


@group.command()
@click.argument("email")
@click.argument("token_id", type=NUMBER)
@with_summary
def confirm(email: str, token_id: int, as_json: bool) -> None:
    """Reactivate a token that was suspended when a backup was restored."""
    token = api_tokens.confirm(accounts.actor_for(accounts.find(email)), token_id)
    summary(as_json, f"Confirmed token {token.id} “{token.name}” of {email}.", id=token.id, name=token.name)


@group.command()
@click.argument("email")
@click.argument("token_id", type=NUMBER)
@with_summary
def revoke(email: str, token_id: int, as_json: bool) -> None:
    """Revoke a token and list the access it gave, which remains in effect."""
    actor = accounts.actor_for(accounts.find(email))
    token = api_tokens.revoke(actor, token_id)
    shared = [
        {
            "id": grant.share.id,
            "patient_id": grant.share.patient_id,
            "email": grant.email,
            "level": grant.share.level,
            "accepted_at": grant.share.accepted_at,
        }
        for grant, _ in given_by_token(actor, token_id)
    ]
    made = LinkService(actor, services().registry, services().storages).created_by_token(token_id)
    links = [{"id": one.link.id, "patient_id": one.link.patient_id, "expires_at": one.link.expires_at} for one in made]
    lines = [f"Revoked token {token.id} “{token.name}” of {email}."]
    lines += [f"It gave {one['email']} {one['level']} access to patient {one['patient_id']}." for one in shared]
    lines += [f"It created share link {one['id']} of patient {one['patient_id']}, which still works." for one in links]
    summary(as_json, "\n".join(lines), id=token.id, name=token.name, shared=shared, links=links)


COMMANDS = (group,)
