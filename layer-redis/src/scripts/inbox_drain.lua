-- Takes entries from the head of a node's inbox, in order. The first element
-- of the answer is 1 if group messages were refused since the last time, plus 2
-- if nothing is left, plus 4 if something is due that may have waited for room.
-- If nothing is left, the owner has heard of every discard, and if it has no
-- members to announce, needs no tomb.
-- KEYS: inbox, bytes, gap, room, lease, tombs, delayed
-- ARGV: entries_max, bytes_max, credit (bytes taken by other means), topic
local inbox, bytes, gap, room = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local entries_max, bytes_max = tonumber(ARGV[1]), tonumber(ARGV[2])
local credit = tonumber(ARGV[3])
local answer = { redis.call('DEL', gap) }
local size = 0
while #answer <= entries_max and size < bytes_max do
    local entry = redis.call('LPOP', inbox)
    if not entry then
        break
    end
    answer[#answer + 1] = entry
    size = size + #entry
end
if redis.call('EXISTS', inbox) == 0 then
    redis.call('DEL', bytes)
    answer[1] = answer[1] + 2
    local state = redis.call('GET', KEYS[5])
    if state and string.sub(state, -1) == 'l' then
        redis.call('UNLINK', KEYS[6])
    end
elseif size + credit > 0 then
    redis.call('DECRBY', bytes, size + credit)
end
if size + credit > 0 and redis.call('DEL', room) == 1 then
    redis.call('PUBLISH', ARGV[4], 0)
end
if redis.call('EXISTS', KEYS[7]) == 1 and delays().first_due(KEYS[7], now_ms()) then
    answer[1] = answer[1] + 4
end
return answer
