"""The MCP server: tools of a catalogue, over standard input and output.

What is said there is the protocol alone. While it is spoken the number of standard output leads to
standard error, so nothing that a library prints comes between.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import anyio
from anyio import CapacityLimiter, to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ListedTool

from catalog import Catalog
from catalog.cli import streams
from catalog.cli.advice import MCP, said
from catalog.cli.mcp_arguments import schema
from catalog.cli.mcp_input import Input, input_until_told
from catalog.cli.mcp_tools import TOOLS, Tool, Tools
from catalog.cli.output import say
from catalog.descriptors import CatalogError, InvalidInput
from catalog.machine.reading import allow_only

_READERS: Final = 4
_log = logging.getLogger(__name__)


def serve(path: Path, folders: Sequence[Path], *, write: bool) -> None:
    """Serve a catalogue until standard input ends; what was begun is finished.

    Args:
        path: of its file.
        folders: below which pictures are named by their paths.
        write: whether tools that change it are offered.

    Raises:
        InvalidInput: standard input is closed.
        CatalogError: the catalogue cannot be opened.
        OSError: standard output is closed, or cannot be written.
    """
    if sys.stdin is None:
        raise InvalidInput("standard input is closed")
    streams.put()
    allow_only(folders)
    with input_until_told() as given:
        try:
            anyio.run(partial(_speak, path, folders, given, write=write))
        except ExceptionGroup as failures:
            raise _first(failures) from None


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """What went wrong first; the failures as they are, if that is a fault of the program."""
    first: Exception = failures
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, OSError) and first.filename is None:
        return OSError(first.errno, first.strerror, "standard output")
    return first if isinstance(first, CatalogError | OSError) else failures


async def _speak(path: Path, folders: Sequence[Path], given: Input, *, write: bool) -> None:
    """Open the catalogue, and serve it; what is printed meanwhile goes to standard error."""
    async with stdio_server() as (incoming, outgoing):
        try:
            with redirect_stdout(sys.stderr), Catalog.open(path, isolate=True) as catalog:
                server = _server(Tools(catalog, folders, write=write))
                say(f"serving {path} by MCP, {'to read and write' if write else 'to read'}")
                await server.run(incoming, outgoing, server.create_initialization_options())
        finally:
            given.end()  # or it would be waited for, if nobody reads what is said any more


def _server(tools: Tools) -> Server[Any]:
    """What answers, each call by a thread of its own; changes one after another."""
    offered = {tool.name: tool for tool in tools.offered}
    reading, writing = CapacityLimiter(_READERS), CapacityLimiter(1)

    async def listed(_context: object, _params: object) -> ListToolsResult:
        return ListToolsResult(tools=[_listed(tool) for tool in offered.values()])

    async def called(_context: object, params: CallToolRequestParams) -> CallToolResult:
        tool = offered.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, _not_offered(params.name))
        return await to_thread.run_sync(
            partial(_call, tools, tool, params.arguments),
            limiter=writing if tool.changes else reading,
        )

    return Server(
        "catalog",
        version=version("catalog"),
        instructions=_instructions(tools),
        on_list_tools=listed,
        on_call_tool=called,
    )


def _call(tools: Tools, tool: Tool, arguments: dict[str, Any] | None) -> CallToolResult:
    """What comes of a call; errors are results, too, for the assistant to read."""
    try:
        return _result(tools.call(tool, arguments))
    except CatalogError as error:
        kind = re.sub("(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()
        return _failure(kind, said(error, MCP))
    except Exception:  # noqa: BLE001 -- the calls after it are to know nothing of it
        _log.exception("the tool %s failed", tool.name)
        return _failure("fault", "the server failed at this; its log, on standard error, says more")


def _result(answer: dict[str, Any]) -> CallToolResult:
    text = json.dumps(answer, ensure_ascii=False)
    return CallToolResult(content=[TextContent(text=text)], structured_content=answer)


def _failure(kind: str, detail: str) -> CallToolResult:
    """An error: its kind, that programs can rely on, and what is wrong and what to do about it."""
    return CallToolResult(
        content=[TextContent(text=detail)],
        structured_content={"error": kind, "detail": detail},
        is_error=True,
    )


def _not_offered(name: str) -> str:
    if any(tool.name == name for tool in TOOLS):
        return f"{name} changes the catalogue, and the server was started without --write"
    return f"there is no tool {name!r}"


def _listed(tool: Tool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        description=tool.does,
        input_schema=schema(tool.arguments),
        annotations=ToolAnnotations(
            read_only_hint=not tool.changes,
            destructive_hint=False,  # `catalog undo` takes back what they do
            open_world_hint=False,
        ),
    )


def _instructions(tools: Tools) -> str:
    """What an assistant is told before all."""
    if tools.folders:
        where = f"by paths below {', '.join(map(str, tools.folders))}, or as base64"
    else:
        where = "as base64; no file may be read by its path"
    return (
        "A catalogue of things that are known by their pictures. predict says which of them a "
        f"picture shows, nearest which pictures look most like it. Pictures are given {where}."
    )
