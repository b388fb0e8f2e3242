"""What a browser's form would send."""

import asyncio
import json
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

PATIENCE = 15.0


async def post(server, path, **fields):
    """The JSON of the answer. In a thread: the sockets of the test go on."""
    return await asyncio.to_thread(_post, f"{server.url}/{path}", urlencode(fields).encode())


async def visit(server, path):
    """The Cookie header of somebody who has just opened a page."""
    return await asyncio.to_thread(_visit, f"{server.url}/{path}")


def _visit(url):
    with build_opener(ProxyHandler({})).open(url, timeout=PATIENCE) as response:
        cookies = response.headers.get_all("Set-Cookie", [])
    return "; ".join(cookie.partition(";")[0] for cookie in cookies)


def _post(url, data):
    with build_opener(ProxyHandler({})).open(Request(url, data), timeout=PATIENCE) as response:
        return json.loads(response.read())
