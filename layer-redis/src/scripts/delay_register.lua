-- Notes that something is due on a target, and tells all nodes if nothing was
-- due earlier. Whoever is looking at the target now does not know of it: what it
-- has claimed is not its own any more.
-- KEYS: registry, claims
-- ARGV: target, delay_ms, ttl_ms, topic
local registry, claims = KEYS[1], KEYS[2]
local delay = tonumber(ARGV[2])
local due = now_ms() + delay
local first = delays().next_due(registry)
redis.call('HDEL', claims, ARGV[1])
redis.call('ZADD', registry, 'LT', due, ARGV[1])
keep(registry, delay + tonumber(ARGV[3]))
if first < 0 or due < first then
    redis.call('PUBLISH', ARGV[4], 0)
end
return 1
