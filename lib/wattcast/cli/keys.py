"""The commands `keys create`, `keys list` and `keys revoke`."""

from typing import Annotated

import typer


def create(
    name: Annotated[str, typer.Argument(help="Name of the client that gets the key.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, forecast or metrics; may be repeated. Default: read.")
    ] = None,
    building: Annotated[
        list[str] | None, typer.Option(help="Id of a building that the key may see; may be repeated. Default: all.")
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="A site whose buildings the key may see; may be repeated. Default: all.")
    ] = None,
) -> None:
    """Create a key and print it. It is printed only once: the file contains its hash."""
    from wattcast.serving.security.access import BuildingAccess
    from wattcast.serving.security.keys import ApiKeys
    from wattcast.settings import settings

    access = BuildingAccess(tuple(dict.fromkeys(building or [])), tuple(dict.fromkeys(site or [])))
    key, text = ApiKeys.from_settings(settings()).create(name, tuple(dict.fromkeys(scope or ["read"])), access)
    print(text)
    scopes, seen = ", ".join(key.scopes), f" and sees {access}" if access.is_restricted else ""
    typer.echo(
        f"Key {key.key_id} of {name} has the scopes: {scopes}{seen}. Store it now, it is not shown again.", err=True
    )


def list_keys() -> None:
    """List all keys without their secrets."""
    from wattcast.serving.security.keys import ApiKeys
    from wattcast.settings import settings

    for key in ApiKeys.from_settings(settings()).all():
        state = f"revoked {key.revoked_at}" if key.revoked_at else "valid"
        print(f"{key.key_id}  {key.name}  {','.join(key.scopes)}  {key.access}  created {key.created_at}  {state}")


def revoke(key_id: Annotated[str, typer.Argument(help="Id of the key, as `wattcast keys list` shows it.")]) -> None:
    """Revoke a key. Running servers refuse it within a second."""
    from wattcast.serving.security.keys import ApiKeys
    from wattcast.settings import settings

    key = ApiKeys.from_settings(settings()).revoke(key_id)
    print(f"Key {key.key_id} of {key.name} is revoked.")
