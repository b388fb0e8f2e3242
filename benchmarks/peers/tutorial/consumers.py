"""The tutorial's consumer as its third part leaves it, word for word, and two that add to it what they must."""

import json
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from tutorial.models import Message


class ChatConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        self.room_name = self.scope["url_route"]["kwargs"]["room_name"]
        self.room_group_name = f"chat_{self.room_name}"

        # Join room group
        await self.channel_layer.group_add(self.room_group_name, self.channel_name)

        await self.accept()

    async def disconnect(self, close_code):
        # Leave room group
        await self.channel_layer.group_discard(self.room_group_name, self.channel_name)

    # Receive message from WebSocket
    async def receive(self, text_data):
        text_data_json = json.loads(text_data)
        message = text_data_json["message"]

        # Send message to room group
        await self.channel_layer.group_send(self.room_group_name, {"type": "chat.message", "message": message})

    # Receive message from room group
    async def chat_message(self, event):
        message = event["message"]

        # Send message to WebSocket
        await self.send(text_data=json.dumps({"message": message}))


class SavingConsumer(ChatConsumer):
    """Each message is a row before it is sent on."""

    async def receive(self, text_data):
        message = json.loads(text_data)["message"]
        await Message.objects.acreate(room=self.room_name, text=message)
        await self.channel_layer.group_send(self.room_group_name, {"type": "chat.message", "message": message})


class HistoryConsumer(ChatConsumer):
    """Each message has the id of its row; who comes back with `?after=` is sent all later ones, read for them alone."""

    async def connect(self):
        await super().connect()
        query = parse_qs(self.scope["query_string"].decode())
        if "after" in query:
            await self.catch_up(int(query["after"][0]))

    async def catch_up(self, after):
        async for message in Message.objects.filter(room=self.room_name, id__gt=after).order_by("id"):
            await self.tell(message.id, message.text)

    async def receive(self, text_data):
        text = json.loads(text_data)["message"]
        message = await Message.objects.acreate(room=self.room_name, text=text)
        event = {"type": "chat.message", "id": message.id, "message": text}
        await self.channel_layer.group_send(self.room_group_name, event)

    async def chat_message(self, event):
        await self.tell(event["id"], event["message"])

    async def tell(self, id, text):
        await self.send(text_data=json.dumps({"id": id, "message": text}))
