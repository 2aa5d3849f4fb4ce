-- Appends entries to a node's inbox. Answers with nothing if all are taken, and
-- else with one verdict for each: 0 taken, 1 full, 2 the node is gone, 3 the
-- group has no members there.
-- KEYS: lease, inbox, bytes, gap, then the members of each group sent to
-- ARGV: entries_max, bytes_max, ttl_ms, then the class of each entry, then each
-- entry; classes: b bounded, u unbounded, and for a group the place of its
-- members among the keys; it is bounded, and refusing it is a gap
local inbox, bytes, gap = KEYS[2], KEYS[3], KEYS[4]
local entries_max, bytes_max, ttl_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local asked = (#ARGV - 3) / 2
local state = redis.call('MGET', KEYS[1], bytes)
local alive = state[1]
local length = alive and redis.call('LLEN', inbox) or 0
local size = tonumber(state[2] or 0)
local is_new = length == 0
local taken, verdicts, stands = {}, {}, {}
local pushed, refused = 0, false
for i = 1, asked do
    local class, entry = ARGV[3 + i], ARGV[3 + asked + i]
    local members = KEYS[tonumber(class)]
    local verdict = 0
    if members and stands[class] == nil then
        stands[class] = alive and redis.call('EXISTS', members) == 1
    end
    if not alive then
        verdict = 2
    elseif members and not stands[class] then
        verdict = 3
    elseif
        class ~= 'u' and (length >= entries_max or (size + #entry > bytes_max and length > 0))
    then
        verdict = 1
        if members then
            -- It lives for longer than any owner is too busy to look.
            redis.call('SET', gap, 1, 'EX', 86400)
        end
    else
        taken[#taken + 1] = entry
        length = length + 1
        size = size + #entry
        pushed = pushed + #entry
    end
    verdicts[i] = verdict
    refused = refused or verdict ~= 0
end
if #taken > 0 then
    append(inbox, taken)
    redis.call('INCRBY', bytes, pushed)
    if is_new then
        -- From now on the owner renews both, with its lease.
        redis.call('PEXPIRE', inbox, ttl_ms)
        redis.call('PEXPIRE', bytes, ttl_ms)
    end
end
return refused and verdicts or {}
