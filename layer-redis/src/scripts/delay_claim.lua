-- Claims targets on which something is due: for a while nobody else looks at
-- them. The first element of the answer is how long it is until something else
-- is due (-1: nothing is).
-- KEYS: registry, claims
-- ARGV: token, claim_ms, targets_max
local registry, claims = KEYS[1], KEYS[2]
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', registry, '-inf', now, 'LIMIT', 0, ARGV[3])
for _, target in ipairs(due) do
    redis.call('HSET', claims, target, ARGV[1])
    redis.call('ZADD', registry, 'XX', now + ARGV[2], target)
end
if #due > 0 then
    redis.call('PEXPIRE', claims, 60 * ARGV[2])
end
local next = delays().next_due(registry)
table.insert(due, 1, next < 0 and -1 or math.max(next - now, 0))
return due
