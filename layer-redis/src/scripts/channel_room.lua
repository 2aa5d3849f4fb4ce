-- Whether a channel has room; if not, whoever takes from it is asked to tell.
-- KEYS: list, statistics, room
-- ARGV: capacity, room_ttl_ms, statistics_ttl_s (0: none)
local list, statistics, room = KEYS[1], KEYS[2], KEYS[3]
local over = redis.call('LLEN', list) - tonumber(ARGV[1])
local expired = over >= 0 and drop_expired(list, now_ms(), over + 1, math.huge) or 0
count(statistics, ARGV[3], 'expired', expired)
if over < expired then
    return 1
end
redis.call('SET', room, 1, 'PX', ARGV[2])
return 0
