-- Whether an inbox has room; if not, its owner is asked to tell.
-- KEYS: inbox, bytes, room
-- ARGV: entries_max, bytes_max, room_ttl_ms
local size = tonumber(redis.call('GET', KEYS[2]) or 0)
if redis.call('LLEN', KEYS[1]) < tonumber(ARGV[1]) and size < tonumber(ARGV[2]) then
    return 1
end
redis.call('SET', KEYS[3], 1, 'PX', ARGV[3])
return 0
