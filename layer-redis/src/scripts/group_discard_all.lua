-- Ends all memberships of a connection, in one step with its leave. Answers
-- with the groups that the caller did not name; then nothing was done.
-- KEYS: lease, index, groups_of, tombs, inbox, bytes, members of each group
-- ARGV: local, tomb_ttl_ms, inbox_ttl_ms, leave_all, then group and fence for each
local lease, index, groups_of, tombs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ttl = tonumber(ARGV[3])
local named = {}
for i = 5, #ARGV, 2 do
    named[ARGV[i]] = true
end
local missing = {}
for _, group in ipairs(redis.call('SMEMBERS', groups_of)) do
    if not named[group] then
        missing[#missing + 1] = group
    end
end
if #missing > 0 then
    return missing
end
local state = redis.call('GET', lease)
redis.call('DEL', groups_of)
local stored, fences = 0, {}
for i = 7, #KEYS do
    local group, fence = ARGV[2 * i - 9], ARGV[2 * i - 8]
    if redis.call('HDEL', KEYS[i], ARGV[1]) == 1 then
        stored = stored + 1
        if redis.call('EXISTS', KEYS[i]) == 0 then
            redis.call('SREM', index, group)
            fences[#fences + 1] = fence
        end
    end
end
if stored > 0 or not state or string.sub(state, -1) ~= 'l' then
    -- It covers those that an add has excepted from an earlier one.
    for i = 5, #ARGV, 2 do
        redis.call('HDEL', tombs, ARGV[1] .. '/' .. ARGV[i])
    end
    redis.call('HSET', tombs, ARGV[1], 1)
    redis.call('PEXPIRE', tombs, ARGV[2])
end
if state and stored > 0 then
    push_inbox(KEYS[5], KEYS[6], ttl, ARGV[4])
    for _, fence in ipairs(fences) do
        push_inbox(KEYS[5], KEYS[6], ttl, fence)
    end
end
return {}
