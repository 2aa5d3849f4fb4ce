-- What happened on a channel: sent, received, full, expired, pending, age_ms
-- (-1: nothing waits), delayed, and whether that is all (1) or more has expired than is
-- dropped and counted in one step (0).
-- KEYS: list, statistics, delayed
-- ARGV: expiry_ms, statistics_ttl_s (0: none), entries_max, bytes_max
local list, statistics = KEYS[1], KEYS[2]
local now = now_ms()
local expired, all = drop_expired(list, now, tonumber(ARGV[3]), tonumber(ARGV[4]))
count(statistics, ARGV[2], 'expired', expired)
local counts = redis.call('HMGET', statistics, 'sent', 'received', 'full', 'expired')
local answer = {}
for i = 1, 4 do
    answer[i] = tonumber(counts[i] or 0)
end
answer[5] = redis.call('LLEN', list)
local head = redis.call('LINDEX', list, 0)
answer[6] = head and math.max(now - (deadline(head) - tonumber(ARGV[1])), 0) or -1
answer[7] = redis.call('ZCARD', KEYS[3])
answer[8] = all and 1 or 0
return answer
