-- Counts what a receiver took. The room that it made is for what is due first;
-- those who wait for the rest are told.
-- KEYS: list, statistics, delayed, waiting, room
-- ARGV: statistics_ttl_s (0: none), received, expired, freed, topic, capacity,
-- expiry_ms, grace_ms
local list, statistics, delayed, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local room, freed = KEYS[5], tonumber(ARGV[4])
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
if freed > 0 and redis.call('EXISTS', delayed) == 1 then
    local capacity, expiry, grace = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
    local now = now_ms()
    local admit_due = delays().admit_due
    freed = freed
        - admit_due(list, statistics, ARGV[1], delayed, waiting, capacity, expiry, grace, now)
end
if freed > 0 and redis.call('EXISTS', room) == 1 then
    -- Others may have taken some of it meanwhile.
    freed = math.min(freed, tonumber(ARGV[6]) - redis.call('LLEN', list))
    if freed > 0 then
        redis.call('PUBLISH', ARGV[5], freed)
    end
end
return 1
