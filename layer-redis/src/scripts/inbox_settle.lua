-- Settles what a node has taken from its inbox: counts it off and tells those who
-- wait for room. The answer is 1 if group messages were refused since the last
-- time, plus 2 if something is due that may have waited for room.
-- If nothing is left, the owner has heard of every discard, and if it has no
-- members to announce, needs no tomb.
-- KEYS: inbox, bytes, gap, room, lease, tombs, delayed
-- ARGV: credit (bytes taken since the last time), topic
local inbox, bytes, room = KEYS[1], KEYS[2], KEYS[4]
local credit = tonumber(ARGV[1])
local answer = redis.call('DEL', KEYS[3])
if redis.call('EXISTS', inbox) == 0 then
    redis.call('DEL', bytes)
    local state = redis.call('GET', KEYS[5])
    if state and string.sub(state, -1) == 'l' then
        redis.call('UNLINK', KEYS[6])
    end
elseif credit > 0 then
    -- Whoever emptied the inbox meanwhile took the count along.
    local counted = tonumber(redis.call('GET', bytes) or '0')
    redis.call('DECRBY', bytes, math.min(credit, counted))
end
if redis.call('DEL', room) == 1 then
    redis.call('PUBLISH', ARGV[2], 0)
end
if redis.call('EXISTS', KEYS[7]) == 1 and delays().first_due(KEYS[7], now_ms()) then
    answer = answer + 2
end
return answer
