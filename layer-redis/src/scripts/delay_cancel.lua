-- Cancels a message that waits for its time, or for room. Says whether it did.
-- KEYS: delayed, waiting, and for an inbox delayed_of
-- ARGV: key
local delayed, waiting, delayed_of = KEYS[1], KEYS[2], KEYS[3]
local held = redis.call('HGET', waiting, ARGV[1])
if not held then
    return 0
end
delays().take(delayed, waiting, string.sub(held, 1, 8) .. ARGV[1], ARGV[1])
if delayed_of then
    local place = string.sub(held, 17, 32)
    if redis.call('HINCRBY', delayed_of, place, -1) <= 0 then
        redis.call('HDEL', delayed_of, place)
    end
end
return 1
