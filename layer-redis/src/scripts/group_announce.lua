-- Compares the members that a node has of a group with those stored. What is
-- stored stands. After the backend or the node was away (restores), the others
-- are stored, unless they were discarded meanwhile; otherwise, and then, the
-- owner is told that they are none. Says whether the lease is still the caller's.
-- KEYS: lease, members, index, tombs, inbox, bytes, groups_of of each member
-- ARGV: lease_value, group, expiry_ms, inbox_ttl_ms, restores (0 or 1), then
-- local, meta and leave for each
local lease, members, index, tombs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, expiry = ARGV[2], tonumber(ARGV[3])
if redis.call('GET', lease) ~= ARGV[1] then
    return 0
end
-- A tomb for the connection has exceptions: groups that it was added to since.
local function discarded(member)
    local tomb = redis.call('HMGET', tombs, member, member .. '/' .. group)
    return tomb[2] == '1' or (tomb[1] and tomb[2] ~= '0')
end
for i = 7, #KEYS do
    local at = 3 * i - 15
    local member = ARGV[at]
    if redis.call('HEXISTS', members, member) == 0 then
        if ARGV[5] == '0' or discarded(member) then
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
