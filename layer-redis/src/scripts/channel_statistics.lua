-- What happened on a channel, once what is due is let in: sent, received, full,
-- expired, pending, age_ms (-1: nothing waits), delayed, and whether that is all
-- (1) or more has expired than is dropped and counted in one step (0).
-- KEYS: list, statistics, delayed, waiting
-- ARGV: expiry_ms, statistics_ttl_s (0: none), entries_max, bytes_max,
-- capacity, grace_ms
local list, statistics, delayed, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = now_ms()
local expired, all = drop_expired(list, now, tonumber(ARGV[3]), tonumber(ARGV[4]))
count(statistics, ARGV[2], 'expired', expired)
if all and redis.call('EXISTS', delayed) == 1 then
    local expiry, capacity, grace = tonumber(ARGV[1]), tonumber(ARGV[5]), tonumber(ARGV[6])
    delays().admit_due(list, statistics, ARGV[2], delayed, waiting, capacity, expiry, grace, now)
end
local counts = redis.call('HMGET', statistics, 'sent', 'received', 'full', 'expired')
local answer = {}
for i = 1, 4 do
    answer[i] = tonumber(counts[i] or 0)
end
answer[5] = redis.call('LLEN', list)
local head = redis.call('LINDEX', list, 0)
answer[6] = head and math.max(now - (deadline(head) - tonumber(ARGV[1])), 0) or -1
answer[7] = redis.call('ZCARD', delayed)
answer[8] = all and 1 or 0
return answer
