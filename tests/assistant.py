"""A real ``catalog mcp``, and the protocol's own client, which speaks with it as assistants do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters, stdio_client
from tiny_network import command, environment

ALIKE = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
"""What processes must share to give the same bits: how they multiply matrices."""


class ToolError(Exception):
    """What a tool answers where it fails.

    Attributes:
        kind: of the error.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Assistant:
    """Calls tools, and waits for what they say."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal = portal
        self.client = client

    def tools(self) -> dict[str, Any]:
        """The tools that are listed, by their names."""
        return {tool.name: tool for tool in self._portal.call(self.client.list_tools).tools}

    def call(self, tool: str, **arguments: Any) -> Any:
        """What a tool answers; the text and the structure of it say the same.

        Raises:
            ToolError: it fails.
        """
        said = self._portal.call(self.client.call_tool, tool, arguments)
        (text,) = (one.text for one in said.content)
        if said.is_error:
            assert said.structured_content["detail"] == text
            raise ToolError(said.structured_content["error"], text)
        assert json.loads(text) == said.structured_content
        return said.structured_content


@contextmanager
def assistant(
    cache: Path, catalogue: Path, *options: str | Path, mode: str = "auto", **variables: str
) -> Iterator[Assistant]:
    """A server of a catalogue by a process of its own, and a client of it."""
    program, *arguments = command("mcp", "--catalog", catalogue, *options)
    started = StdioServerParameters(
        command=program, args=arguments, env=environment(cache, **ALIKE, **variables)
    )
    with start_blocking_portal() as portal:
        client = Client(stdio_client(started, errlog=sys.__stderr__), mode=mode)
        with portal.wrap_async_context_manager(client):
            yield Assistant(portal, client)
