"""The commands `wattcast keys`. Each imports what it needs, so that help comes at once."""

from typing import Annotated

import typer

from wattcast.errors import told

keys_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys of the REST API.")


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    scope: Annotated[list[str] | None, typer.Option(help="read, forecast or metrics; as often as wanted.")] = None,
) -> None:
    """Make a key. It is shown once and kept nowhere, only its hash."""
    from wattcast.serving.keys import Keys
    from wattcast.settings import settings

    keys = Keys.of(settings())
    with told():
        key, text = keys.create(name, tuple(dict.fromkeys(scope or ["read"])))
    print(text)
    typer.echo(f"Key {key.key_id} of {name} may {', '.join(key.scopes)}; keep it now, it is not shown again.", err=True)


@keys_app.command("list")
def list_keys() -> None:
    """Every key, without its secret."""
    from wattcast.serving.keys import Keys
    from wattcast.settings import settings

    with told():
        found = Keys.of(settings()).all()
    for key in found:
        revoked = f"revoked {key.revoked_at}" if key.revoked_at else "valid"
        print(f"{key.key_id}  {key.name}  {','.join(key.scopes)}  made {key.created_at}  {revoked}")


@keys_app.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="As `wattcast keys list` shows it.")]) -> None:
    """Revoke a key; running servers refuse it from the next second on."""
    from wattcast.serving.keys import Keys
    from wattcast.settings import settings

    with told():
        key = Keys.of(settings()).revoke(key_id)
    print(f"Key {key.key_id} of {key.name} is revoked.")
