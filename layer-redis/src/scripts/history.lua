-- Stands before the scripts that deal with what a group keeps. `state` has the
-- epoch of the offsets and the life of the server that it belongs to (run_id),
-- the offset given last, what the kept messages weigh, when the last of them
-- ends, and how long all that outlives the last publish or recall. `kept` has the messages, oldest first,
-- the last one the newest; each has its deadline in front, never before that of
-- an older one.

-- What a message weighs besides its size, in bytes.
local OVERHEAD = 64

-- What is known of a group's history. If nothing is, or if the server has begun
-- another life and may have lost the end of it, it begins anew.
local function history(state, kept, run_id, epoch)
    local found =
        redis.call('HMGET', state, 'epoch', 'run_id', 'offset', 'bytes', 'ends', 'life_ms')
    if found[1] and found[2] == run_id then
        return {
            epoch = found[1],
            offset = tonumber(found[3]),
            bytes = tonumber(found[4]),
            ends = tonumber(found[5]),
            life_ms = tonumber(found[6]),
        }
    end
    redis.call('DEL', state, kept)
    redis.call('HSET', state, 'epoch', epoch, 'run_id', run_id)
    return { epoch = epoch, offset = 0, bytes = 0, ends = 0, life_ms = 0 }
end

-- Drops what has expired, and the oldest beyond so many and so many bytes, but
-- for bytes never the newest. Says how many are left, and what they weigh.
local function trim(kept, bytes, now, count_max, bytes_max)
    local length, dropped = redis.call('LLEN', kept), 0
    if length == 0 then
        return 0, 0
    end
    while dropped < length do
        local left = length - dropped
        local is_over = left > count_max or (bytes > bytes_max and left > 1)
        local oldest = redis.call('LINDEX', kept, dropped)
        if not is_over and deadline(oldest) > now then
            break
        end
        dropped = dropped + 1
        bytes = bytes - #oldest - OVERHEAD
    end
    if dropped > 0 then
        redis.call('LTRIM', kept, dropped, -1)
    end
    return length - dropped, bytes
end

-- Puts down where a group's history stands.
local function put_history(state, known)
    redis.call(
        'HSET',
        state,
        'offset',
        known.offset,
        'bytes',
        known.bytes,
        'ends',
        known.ends,
        'life_ms',
        known.life_ms
    )
end
