"""python-socketio's server as its documentation has it; with Redis between processes where BENCH_REDIS_URL is set."""

import os

import socketio

url = os.environ.get("BENCH_REDIS_URL")
server = socketio.AsyncServer(async_mode="asgi", client_manager=socketio.AsyncRedisManager(url) if url else None)
application = socketio.ASGIApp(server)


@server.event
async def join(sid, room):
    await server.enter_room(sid, room)
    await server.emit("joined", room, to=sid)


@server.event
async def message(sid, room, text):
    await server.emit("message", text, room=room)
