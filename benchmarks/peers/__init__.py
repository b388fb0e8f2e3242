"""Who is compared, by name. `prepare()` first: it installs what comes from npm."""

from benchmarks.peers import node
from benchmarks.peers.dialects import (
    Plain,
    Rooms,
    RoomsPassing,
    RoomsUnseen,
    SocketIO,
    SocketIORecovering,
    Tutorial,
    TutorialHistory,
)
from benchmarks.peers.python import django, plain

README = "django_rooms as it is shipped"
TUTORIAL = "the consumer of the Channels tutorial"
DOCUMENTED = "as its documentation has it; the Redis manager where the layer is pub/sub"

PEERS = {
    peer.name: peer
    for peer in (
        django("rooms", Rooms(), "rooms.asgi:application", README),
        django("rooms-lean", Rooms(), "rooms.asgi:lean", f"{README}, own_channel = False; a URLRouter alone"),
        django("rooms-unseen", RoomsUnseen(), "rooms.asgi:application", f"{README}; presence_names = None"),
        django("rooms-passing", RoomsPassing(), "rooms.asgi:application", f"{README}; events, which are not stored"),
        django("tutorial", Tutorial(), "tutorial.asgi:tutorial", TUTORIAL),
        django("tutorial-saves", Tutorial(), "tutorial.asgi:saves", f"{TUTORIAL}, and acreate() before group_send()"),
        django("tutorial-history", TutorialHistory(), "tutorial.asgi:history", f"{TUTORIAL}, with ids, and a query"),
        plain("python-socketio", SocketIO(), "python_socketio:application", DOCUMENTED, "python-socketio"),
        node.peer("socket.io", SocketIO(), "socketio.mjs", "socket.io", "WebSocket alone"),
        node.peer(
            "socket.io-recovery",
            SocketIORecovering(),
            "socketio.mjs",
            "socket.io",
            "WebSocket alone, connection state recovery",
            "recovery",
        ),
        node.peer("ws", Plain(), "ws.mjs", "ws", "the same Buffer to each member"),
        plain("bare", Plain(), "bare:application", "a loop over send()"),
        django("bare-in-stack", Plain(), "tutorial.asgi:bare", "a loop over send(), within the stack of the tutorial"),
    )
}


def prepare():
    """Returns a sentence if Node's peers could not be installed."""
    return node.install()
