"""channels_redis alone: what a message costs from send to receive, and a group
message to each of its members.

`python layer.py REDIS_URL [--messages N] [--members 10,100]` prints one JSON object
a line, a case each: `case`, `messages` (received, in all), `seconds`, `cpu_seconds`
(of this process) and `redis_cpu_seconds`.
"""

import argparse
import asyncio
import json
import time

from channels_redis.core import RedisChannelLayer
from redis import asyncio as redis

from layer_settings import CAPACITY, host

PAYLOAD = "x" * 130
EVENT = {"type": "bench.message", "text": PAYLOAD}

# Sends on their way at one time where many are.
SENDERS = 50

# Messages to each group, whatever its size.
GROUP_SENDS = 100

# A case that has not ended after this time is given up, in seconds.
CASE_TIME_MAX = 120


class Meter:
    """Time, this process's CPU and Redis' CPU between `async with` and its end."""

    def __init__(self, connection, case, messages):
        self.connection = connection
        self.figures = {"case": case, "messages": messages}

    async def marks(self):
        cpu = await self.connection.info("cpu")
        redis_cpu = cpu["used_cpu_user"] + cpu["used_cpu_sys"]
        return time.perf_counter(), time.process_time(), redis_cpu

    async def __aenter__(self):
        self.before = await self.marks()

    async def __aexit__(self, kind, error, trace):
        if kind is not None:
            return
        names = ("seconds", "cpu_seconds", "redis_cpu_seconds")
        for name, before, after in zip(names, self.before, await self.marks()):
            self.figures[name] = round(after - before, 6)
        print(json.dumps(self.figures), flush=True)


async def ping_pong(layer, messages):
    for _ in range(messages):
        await layer.send("bench", EVENT)
        await layer.receive("bench")


async def receive_all(layer, channel, messages):
    for _ in range(messages):
        await layer.receive(channel)


async def stream(layer, messages):
    """Many senders and one receiver; the receiver's channel never fills."""
    left = iter(range(messages))
    room = asyncio.Semaphore(CAPACITY // 2)

    async def sender():
        for _ in left:
            await room.acquire()
            await layer.send("bench", EVENT)

    async def receiver():
        for _ in range(messages):
            await layer.receive("bench")
            room.release()

    await asyncio.gather(receiver(), *(sender() for _ in range(SENDERS)))


async def join(layer, group, members):
    channels = [await layer.new_channel() for _ in range(members)]
    for channel in channels:
        await layer.group_add(group, channel)
    return channels


async def group_sends(layer, group, channels, sends):
    """Every message reaches every member before the next one is sent."""
    for _ in range(sends):
        await layer.group_send(group, EVENT)
        await asyncio.gather(*(layer.receive(channel) for channel in channels))


async def measure(options):
    connection = redis.Redis.from_url(options.url)
    layer = RedisChannelLayer(hosts=[host(options.url)], capacity=CAPACITY)
    await layer.flush()
    count = options.messages

    async def case(name, messages, work):
        async with Meter(connection, name, messages):
            await asyncio.wait_for(work, CASE_TIME_MAX)

    await ping_pong(layer, 20)
    await case("one after the other", count, ping_pong(layer, count))
    await case("many at once", count, stream(layer, count))
    for members in options.members:
        group = f"bench.{members}"
        channels = await join(layer, group, members)
        work = group_sends(layer, group, channels, GROUP_SENDS)
        await case(f"group of {members}", GROUP_SENDS * members, work)
    await layer.close_pools()
    await connection.aclose()


def numbers(text):
    return [int(number) for number in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--members", type=numbers, default=[10, 100])
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
