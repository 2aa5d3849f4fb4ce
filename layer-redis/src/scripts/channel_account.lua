-- Counts what a receiver took, and tells those who wait for room.
-- KEYS: statistics, room
-- ARGV: statistics_ttl_s (0: none), received, expired, freed, topic
local statistics, room = KEYS[1], KEYS[2]
local received, expired = tonumber(ARGV[2]), tonumber(ARGV[3])
if ARGV[1] ~= '0' then
    if received > 0 then
        redis.call('HINCRBY', statistics, 'received', received)
    end
    if expired > 0 then
        redis.call('HINCRBY', statistics, 'expired', expired)
    end
    if received + expired > 0 then
        redis.call('EXPIRE', statistics, ARGV[1])
    end
end
if tonumber(ARGV[4]) > 0 and redis.call('EXISTS', room) == 1 then
    redis.call('PUBLISH', ARGV[5], ARGV[4])
end
return 1
