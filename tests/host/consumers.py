"""A host's own consumer: what a Channels user adds to a room's socket."""

import json

from django_rooms.consumers import RoomConsumer


class AlertConsumer(RoomConsumer):
    """Passes on alerts that anything in the project sends to a room's group, or to this consumer alone."""

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "which channel?":
            await self.tell("channel", name=self.channel_name)
        else:
            await super().receive(text_data, bytes_data)

    async def chat_alert(self, event):
        await self.tell("alert", text=event["text"])

    async def tell(self, type, **fields):
        await self.send(text_data=json.dumps({"type": type, **fields}))
