"""The least that ASGI can do: what comes is sent to everybody on the same path, one after the other, as it came."""

from collections import defaultdict

rooms = defaultdict(set)


async def application(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    members = rooms[scope["path"]]
    members.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            await tell(members, message["text"])
    finally:
        members.remove(send)


async def tell(members, text):
    for send in tuple(members):
        try:
            await send({"type": "websocket.send", "text": text})
        except OSError:  # It has left, and its own task will learn of it.
            continue
