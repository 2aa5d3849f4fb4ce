-- Gives claimed targets back, with the time at which to look again (-1: never).
-- A target that is not claimed any more has something new: it is looked at when
-- its claim would have ended, or earlier. Says how long it is until something is
-- due (-1: nothing is).
-- KEYS: registry, claims
-- ARGV: token, then target and time for each
local registry, claims = KEYS[1], KEYS[2]
for i = 2, #ARGV, 2 do
    local target, time = ARGV[i], tonumber(ARGV[i + 1])
    local is_own = redis.call('HGET', claims, target) == ARGV[1]
    if is_own then
        redis.call('HDEL', claims, target)
    end
    if is_own and time < 0 then
        redis.call('ZREM', registry, target)
    elseif is_own then
        redis.call('ZADD', registry, time, target)
    elseif time >= 0 then
        redis.call('ZADD', registry, 'LT', time, target)
    end
end
local next = delays().next_due(registry)
return next < 0 and -1 or math.max(next - now_ms(), 0)
