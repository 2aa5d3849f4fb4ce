-- Appends entries to a node's inbox; one verdict for each: 0 taken, 1 full,
-- 2 the node is gone, 3 the group has no members there.
-- KEYS: lease, inbox, bytes, gap, then the members of each group sent to
-- ARGV: entries_max, bytes_max, ttl_ms, then class and entry for each; classes:
-- b bounded, u unbounded, and for a group the place of its members among the
-- keys; it is bounded, and refusing it is a gap
local lease, inbox, bytes, gap = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local entries_max, bytes_max = tonumber(ARGV[1]), tonumber(ARGV[2])
local verdicts = {}
local alive = redis.call('EXISTS', lease) == 1
local length = alive and redis.call('LLEN', inbox) or 0
local size = alive and tonumber(redis.call('GET', bytes) or 0) or 0
local pushed = 0
for i = 4, #ARGV, 2 do
    local class, entry = ARGV[i], ARGV[i + 1]
    local full = length >= entries_max or (size + #entry > bytes_max and length > 0)
    local verdict = 0
    local members = KEYS[tonumber(class)]
    if not alive then
        verdict = 2
    elseif members and redis.call('EXISTS', members) == 0 then
        verdict = 3
    elseif full and class ~= 'u' then
        verdict = 1
        if members then
            -- It lives for longer than any owner is too busy to look.
            redis.call('SET', gap, 1, 'EX', 86400)
        end
    else
        redis.call('RPUSH', inbox, entry)
        length = length + 1
        size = size + #entry
        pushed = pushed + #entry
    end
    verdicts[#verdicts + 1] = verdict
end
if pushed > 0 then
    redis.call('INCRBY', bytes, pushed)
    -- The owner renews both with its lease; this is for a list made anew.
    keep(inbox, tonumber(ARGV[3]))
    keep(bytes, tonumber(ARGV[3]))
end
return verdicts
