-- Appends messages to a channel as far as its capacity goes; says how many.
-- What is due by now goes first.
-- KEYS: list, statistics, delayed, waiting
-- ARGV: capacity, expiry_ms, list_ttl_ms, statistics_ttl_s (0: none), message...
local list, statistics, delayed, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local capacity, expiry = tonumber(ARGV[1]), tonumber(ARGV[2])
local asked = #ARGV - 4
local now = now_ms()
if redis.call('EXISTS', delayed) == 1 then
    local grace = tonumber(ARGV[3]) - expiry
    delays().admit_due(list, statistics, ARGV[4], delayed, waiting, capacity, expiry, grace, now)
end
local length = redis.call('LLEN', list)
local expired = 0
-- What has expired holds no capacity; it is dropped as far as it matters.
if length + asked > capacity then
    expired = drop_expired(list, now, length + asked - capacity, math.huge)
    length = length - expired
end
local taken = math.min(asked, math.max(capacity - length, 0))
local until_ms = struct.pack('>I8', now + expiry)
local entries = {}
for i = 1, taken do
    entries[i] = until_ms .. ARGV[4 + i]
end
if taken > 0 then
    append(list, entries)
    redis.call('PEXPIRE', list, ARGV[3])
    if ARGV[4] ~= '0' and redis.call('HINCRBY', statistics, 'sent', taken) == taken then
        redis.call('EXPIRE', statistics, ARGV[4])
    end
end
count(statistics, ARGV[4], 'full', asked - taken)
count(statistics, ARGV[4], 'expired', expired)
return taken
