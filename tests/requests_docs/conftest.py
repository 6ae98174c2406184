"""Servers for what requests' pages show: one that routes, one that answers what it has understood of a request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from client.testing import LoopbackServer


def _describe(request: Request) -> Response:
    """Answer as the pages' favourite server does; werkzeug is a parser that we did not write."""
    document: dict[str, Any] = {
        "method": request.method,
        "args": request.args.to_dict(flat=False),
        "headers": dict(request.headers),
        "cookies": request.cookies.to_dict(),
        "form": request.form.to_dict(flat=False),
        "files": [
            {
                "field": field,
                "name": file.filename,
                "type": file.mimetype,
                "headers": dict(file.headers),
                "content": file.read().decode(),
            }
            for field, file in request.files.items(multi=True)
        ],
    }
    document["data"] = "" if document["form"] or document["files"] else request.get_data().decode()
    return Response(json.dumps(document), content_type="application/json")


@pytest.fixture
def echo() -> Iterator[str]:
    """URL of a server that answers with a JSON description of the request: args, form, files, data, headers, cookies."""
    with HTTPServer() as server:
        server.expect_request(re.compile("")).respond_with_handler(_describe)
        yield server.url_for("/echo")


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """The loopback server; `client.testing.routes` lists its paths."""
    with LoopbackServer() as running:
        yield running
