-- What happened on a channel: sent, received, full, expired, pending, age_ms
-- (-1: nothing waits). What has expired is dropped and counted first.
-- KEYS: list, statistics
-- ARGV: expiry_ms, statistics_ttl_s (0: none)
local list, statistics = KEYS[1], KEYS[2]
local now = now_ms()
count(statistics, ARGV[2], 'expired', drop_expired(list, now))
local counts = redis.call('HMGET', statistics, 'sent', 'received', 'full', 'expired')
local answer = {}
for i = 1, 4 do
    answer[i] = tonumber(counts[i] or 0)
end
answer[5] = redis.call('LLEN', list)
local head = redis.call('LINDEX', list, 0)
answer[6] = head and math.max(now - (deadline(head) - tonumber(ARGV[1])), 0) or -1
return answer
