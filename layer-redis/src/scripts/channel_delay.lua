-- Lets a message wait for its time, or sends it if there is nothing to wait for.
-- Says how many were sent; -1 if as many wait as may.
-- KEYS: list, statistics, delayed, waiting
-- ARGV: capacity, expiry_ms, grace_ms, statistics_ttl_s (0: none), delayed_max,
-- delay_ms, key, message
local list, statistics, delayed, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local capacity, expiry, grace = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local delay = tonumber(ARGV[6])
local now = now_ms()
local delays = delays()
if redis.call('ZCARD', delayed) >= tonumber(ARGV[5]) then
    count(statistics, ARGV[4], 'full', 1)
    return -1
end
delays.put(delayed, waiting, now, delay, expiry + grace, ARGV[7], ARGV[8])
if delay > 0 then
    return 0
end
return (delays.admit_due(list, statistics, ARGV[4], delayed, waiting, capacity, expiry, grace, now))
