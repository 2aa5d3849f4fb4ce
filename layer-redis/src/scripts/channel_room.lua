-- Whether a channel has room; if not, whoever takes from it is asked to tell.
-- KEYS: list, statistics, room
-- ARGV: capacity, room_ttl_ms, counted (0 or 1)
local list, statistics, room = KEYS[1], KEYS[2], KEYS[3]
local expired = drop_expired(list, now_ms())
if expired > 0 and ARGV[3] == '1' then
    redis.call('HINCRBY', statistics, 'expired', expired)
end
if redis.call('LLEN', list) < tonumber(ARGV[1]) then
    return 1
end
redis.call('SET', room, 1, 'PX', ARGV[2])
return 0
