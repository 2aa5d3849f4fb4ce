-- Stores the members that a node has of a group, after the backend or the node
-- was away. What was stored meanwhile stands; what was discarded meanwhile is
-- told to the owner instead. Says whether the lease is still the caller's.
-- KEYS: lease, members, index, tombs, inbox, bytes, groups_of of each member
-- ARGV: lease_value, group, expiry_ms, inbox_ttl_ms, then local, meta and leave for each
local lease, members, index, tombs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, expiry = ARGV[2], tonumber(ARGV[3])
if redis.call('GET', lease) ~= ARGV[1] then
    return 0
end
for i = 7, #KEYS do
    local at = 3 * i - 16
    local member = ARGV[at]
    if redis.call('HEXISTS', members, member) == 0 then
        local tomb = redis.call('HMGET', tombs, member, member .. '/' .. group)
        if tomb[1] or tomb[2] then
            push_inbox(KEYS[5], KEYS[6], tonumber(ARGV[4]), ARGV[at + 2])
        else
            redis.call('HSET', members, member, ARGV[at + 1])
            redis.call('SADD', index, group)
            redis.call('SADD', KEYS[i], group)
            redis.call('PEXPIRE', KEYS[i], expiry)
        end
    end
end
redis.call('PEXPIRE', members, expiry)
redis.call('PEXPIRE', index, expiry)
return 1
