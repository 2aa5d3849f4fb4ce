-- Stands before every script that deals with deadlines or with an inbox.

-- The time of this server, in milliseconds.
local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The first 8 bytes of an entry of a shared channel; what has no deadline has
-- expired.
local function deadline(entry)
    if #entry < 8 then
        return 0
    end
    return (struct.unpack('>I8', entry))
end

-- Drops expired entries at the head of a list, up to so many of up to so many
-- bytes, for all else waits meanwhile. Says how many, and whether all.
local function drop_expired(list, now, entries_max, bytes_max)
    local dropped, size = 0, 0
    while dropped < entries_max and size < bytes_max do
        local head = redis.call('LINDEX', list, 0)
        if not head or deadline(head) > now then
            return dropped, true
        end
        redis.call('LTRIM', list, 1, -1)
        dropped = dropped + 1
        size = size + #head
    end
    return dropped, false
end

-- Appends to a list, many at a time: each call costs more than what it appends.
local function append(list, entries)
    for first = 1, #entries, 512 do
        redis.call('RPUSH', list, unpack(entries, first, math.min(first + 511, #entries)))
    end
end

-- Makes a key live at least this long.
local function keep(key, ttl_ms)
    if redis.call('PTTL', key) < ttl_ms then
        redis.call('PEXPIRE', key, ttl_ms)
    end
end

-- Counts something on a channel, unless its counts are not kept (no time to live).
local function count(statistics, ttl_s, field, by)
    if by > 0 and ttl_s ~= '0' then
        redis.call('HINCRBY', statistics, field, by)
        keep(statistics, ttl_s * 1000)
    end
end

-- Appends an entry to an inbox outside its limits.
local function push_inbox(inbox, bytes, ttl_ms, entry)
    redis.call('RPUSH', inbox, entry)
    redis.call('INCRBY', bytes, #entry)
    keep(inbox, ttl_ms)
    keep(bytes, ttl_ms)
end
