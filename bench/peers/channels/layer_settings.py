"""How the channel layer is set up, for the application and for the bare layer."""

# Messages that wait on one channel. The default of 100 loses some of what a
# publisher with a few messages on their way sends.
CAPACITY = 10000

# redis-py's pool holds 100 connections by default, and raises when they are all in
# use: what is sent then is lost, and a consumer that it happens to ends.
CONNECTIONS = 10000


def host(url):
    # redis-py gives up a read after 5 seconds by default; the layer's own wait for a
    # message takes as long, and a consumer with nothing to do would end.
    return {"address": url, "max_connections": CONNECTIONS, "socket_timeout": None}


def channel_layers(url):
    return {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [host(url)], "capacity": CAPACITY},
        }
    }
