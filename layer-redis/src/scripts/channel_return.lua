-- Gives back, at the head and in the old order, what was taken and not handed
-- out; over capacity if need be. Says how many of it had expired.
-- KEYS: list, statistics
-- ARGV: grace_ms, statistics_ttl_s (0: none), entry...
local list, statistics = KEYS[1], KEYS[2]
local now = now_ms()
local expired, last = 0, 0
for i = #ARGV, 3, -1 do
    local until_ms = deadline(ARGV[i])
    if until_ms > now then
        redis.call('LPUSH', list, ARGV[i])
        last = math.max(last, until_ms)
    else
        expired = expired + 1
    end
end
if last > 0 then
    keep(list, last - now + tonumber(ARGV[1]))
end
count(statistics, ARGV[2], 'expired', expired)
return expired
