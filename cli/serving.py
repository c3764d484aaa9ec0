"""The commands of the HTTP service."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from catalog.cli import extras
from catalog.cli.options import CatalogPath, Json
from catalog.cli.output import print_json, print_table, say, tell

if TYPE_CHECKING:
    from catalog.service.settings import Settings

_LIBRARIES = (
    "fastapi",
    "httptools",
    "prometheus_client",
    "python_multipart",
    "threadpoolctl",
    "uvicorn",
    "uvloop",
)

_NOT_SET = frozenset({"config", "show_config", "open_page"})
"""The options that are no settings of the service."""

_KINDS: dict[str, type | tuple[type, ...]] = {
    "port": int,
    "allow": list,
    "unprotected": bool,
    "most_megabytes": int,
    "most_pictures": int,
    "queue": int,
    "write_queue": int,
    "body_seconds": (int, float),
}
"""What settings in a file are, where they are no texts."""

keys = typer.Typer(
    name="keys", help="Keys of the HTTP service: who may read, and who may write.",
    no_args_is_help=True,
)  # fmt: skip

KeyFile: TypeAlias = Annotated[
    Path,
    typer.Option("--keys", envvar="CATALOG_SERVE_KEYS", help="The file of keys.", readable=False),
]


def _configured(context: typer.Context, file: Path | None) -> Path | None:
    """Take the options that are not given from a file of settings."""
    from catalog.descriptors import CatalogError, InvalidInput

    if file is None:
        return None
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise CatalogError(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{file} is not TOML: {error}") from error
    known = {option.name for option in context.command.params} - _NOT_SET
    if unknown := sorted(name for name in found if name.replace("-", "_") not in known):
        names = ", ".join(sorted(known))
        raise InvalidInput(f"{file} sets {unknown[0]!r}; what can be set is {names}")
    settings = {name.replace("-", "_"): value for name, value in found.items()}
    for name, value in settings.items():
        if not isinstance(value, _KINDS.get(name, str)) or isinstance(value, bool) != (
            name == "unprotected"
        ):
            raise InvalidInput(f"{file} sets {name} to {value!r}, which is of another kind")
    context.default_map = settings
    return file


def serve(
    context: typer.Context,
    catalog: CatalogPath,
    host: Annotated[
        str,
        typer.Option(
            envvar="CATALOG_SERVE_HOST",
            help="The address to listen at; another one than this computer's own needs keys.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="CATALOG_SERVE_PORT", help="The port; 0 for one that is free.")
    ] = 8765,
    keys: Annotated[
        Path | None,
        typer.Option(
            envvar="CATALOG_SERVE_KEYS",
            help="The file of keys, as `catalog keys add` makes it. Without one everyone who can "
            "reach the service may do everything.",
            readable=False,
        ),
    ] = None,
    allow: Annotated[
        list[Path] | None,
        typer.Option(
            envvar="CATALOG_SERVE_ALLOW",
            help="A folder of this computer whose files jobs may read, and thumbnails be made of. "
            "May be given several times.",
        ),
    ] = None,
    unprotected: Annotated[
        bool,
        typer.Option(
            "--unprotected",
            envvar="CATALOG_SERVE_UNPROTECTED",
            help="Listen where others can reach it, although there are no keys.",
        ),
    ] = False,
    most_megabytes: Annotated[
        int,
        typer.Option(
            envvar="CATALOG_SERVE_MOST_MEGABYTES", help="How large a request's body may be."
        ),
    ] = 64,
    most_pictures: Annotated[
        int,
        typer.Option(
            envvar="CATALOG_SERVE_MOST_PICTURES", help="How many pictures a request may bring."
        ),
    ] = 100,
    queue: Annotated[
        int,
        typer.Option(
            envvar="CATALOG_SERVE_QUEUE",
            help="About how many pictures may be asked at once; more are told to come again.",
        ),
    ] = 64,
    write_queue: Annotated[
        int,
        typer.Option(envvar="CATALOG_SERVE_WRITE_QUEUE", help="How many changes may wait."),
    ] = 32,
    body_seconds: Annotated[
        float,
        typer.Option(
            envvar="CATALOG_SERVE_BODY_SECONDS",
            help="How long a request's body may take to come; longer if it comes at 100 kB/s.",
        ),
    ] = 30,
    log: Annotated[
        str,
        typer.Option(
            envvar="CATALOG_SERVE_LOG",
            help="From which on things are logged: debug, info, warning or error.",
        ),
    ] = "info",
    config: Annotated[  # noqa: ARG001 -- its callback has taken what is in it
        Path | None,
        typer.Option(
            envvar="CATALOG_SERVE_CONFIG",
            help="A TOML file of settings by the names of these options; options and environment "
            "variables go before it.",
            callback=_configured,
            is_eager=True,
            readable=False,
        ),
    ] = None,
    open_page: Annotated[
        bool,
        typer.Option("--open", help="Open the page in a browser, once it can be called."),
    ] = False,
    show_config: Annotated[
        bool,
        typer.Option("--show-config", help="Print the settings, and where each is from; no more."),
    ] = False,
) -> None:
    """Answer over HTTP, for many callers at once, and with a page: docs/service.md says how.

    Ctrl-C or SIGTERM ends it once what was acknowledged is done.
    """
    _require_libraries()
    from catalog.service.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        keys=keys,
        allow=tuple(allow or ()),
        unprotected=unprotected,
        most_megabytes=most_megabytes,
        most_pictures=most_pictures,
        queue=queue,
        write_queue=write_queue,
        body_seconds=body_seconds,
    )
    level = _level(log)
    if show_config:
        _print_settings(context)
        return
    from catalog.service.serve import serve as run

    def listening(address: str) -> None:
        _say_where(address, settings)
        if open_page:
            _open_page(address)

    run(catalog, settings, level=level, listening=listening)


def _require_libraries() -> None:
    """Make sure that the extra is installed.

    Raises:
        CatalogError: it is not.
    """
    extras.require(_LIBRARIES, "the service", "install serve")


def _level(name: str) -> str:
    from catalog.descriptors import InvalidInput

    levels = ("debug", "info", "warning", "error")
    if name.lower() not in levels:
        raise InvalidInput(f"things are logged from {', '.join(levels)} on, not from {name!r}")
    return name.lower()


def _say_where(address: str, settings: Settings) -> None:
    say(f"serving at {address}; Ctrl-C ends it")
    if settings.keys is None:
        say("note: there are no keys, so everyone who can reach it may do everything")


def _open_page(address: str) -> None:
    """Open the page in a browser; where there is none, the address that was said is enough."""
    import threading
    import webbrowser

    # It may wait for the browser, and the service is not to.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _print_settings(context: typer.Context) -> None:
    """The settings as TOML, each with where it is from."""
    sources = {
        "COMMANDLINE": "an option",
        "ENVIRONMENT": "the environment",
        "DEFAULT_MAP": "the file",
        "DEFAULT": "the default",
    }
    for option in context.command.params:
        if option.name in _NOT_SET or option.name is None:
            continue
        value = context.params[option.name]
        found = context.get_parameter_source(option.name)
        origin = sources.get(found.name if found else "", "the default")
        if value is None or value == []:
            tell(f"# {option.name} is not set")
        else:
            tell(f"{option.name} = {_toml(value)}  # {origin}")


def _toml(value: Any) -> str:
    from json import dumps

    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if isinstance(value, Path):
        return dumps(str(value))
    return dumps(value)


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Whose key it is: a word.")],
    keys: KeyFile,
    scope: Annotated[str, typer.Option(help="What it is good for: read, or write.")] = "read",
    json: Json = False,
) -> None:
    """Make a key and print it: only its hash is kept. A running service takes it at once."""
    _require_libraries()
    from catalog.service.keys import add_key as add

    key = add(keys, name, scope)
    if json:
        print_json({"name": name, "scope": scope, "key": key})
        return
    tell(key)
    say(f"this is the key of {name}, to {scope}; it is not kept anywhere, and shown only now")


@keys.command("list")
def list_keys(keys: KeyFile, json: Json = False) -> None:
    """List the keys by name."""
    _require_libraries()
    from catalog.service.keys import read_keys

    found = [{"name": key.name, "scope": key.scope} for key in read_keys(keys)]
    if json:
        print_json(found)
    else:
        print_table([(key["name"], key["scope"]) for key in found])


@keys.command("remove")
def remove_key(
    name: Annotated[str, typer.Argument(help="Whose key it is.")], keys: KeyFile, json: Json = False
) -> None:
    """Take a key back; a running service refuses it within a second."""
    _require_libraries()
    from catalog.service.keys import remove_key as remove

    remove(keys, name)
    if json:
        print_json({"name": name})
    else:
        tell(f"the key of {name} is not good any more")
