"""Echo and rooms on Channels, the way its tutorial writes a chat: a consumer for
each connection, a group for each room, the channel layer over Redis.

`LAYER_URL=redis://... daphne app:application`, or uvicorn.
"""

import os

import django
from django.conf import settings

from layer_settings import channel_layers

settings.configure(
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS=channel_layers(os.environ["LAYER_URL"]),
    DEBUG=False,
    LOGGING_CONFIG=None,
    SECRET_KEY="of no use here",
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=text_data, bytes_data=bytes_data)


class Room(AsyncWebsocketConsumer):
    async def connect(self):
        self.group = "room." + self.scope["url_route"]["kwargs"]["name"]
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data=None, bytes_data=None):
        event = {"type": "room.message", "text": text_data, "bytes": bytes_data}
        await self.channel_layer.group_send(self.group, event)

    async def room_message(self, event):
        await self.send(text_data=event["text"], bytes_data=event["bytes"])


application = ProtocolTypeRouter(
    {
        "websocket": URLRouter(
            [path("echo", Echo.as_asgi()), path("room/<name>", Room.as_asgi())]
        )
    }
)
