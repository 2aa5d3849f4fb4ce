-- Ends a membership. A node that announces its members before it has heard of
-- this finds a tomb and does not announce this one; a group that has become
-- empty sends its owner a fence.
-- KEYS: lease, members, index, groups_of, tombs, inbox, bytes
-- ARGV: local, group, tomb_ttl_ms, inbox_ttl_ms, leave, fence
local lease, members, index, groups_of, tombs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ttl = tonumber(ARGV[4])
local state = redis.call('GET', lease)
local stored = redis.call('HDEL', members, ARGV[1])
redis.call('SREM', groups_of, ARGV[2])
if stored == 1 or not state or string.sub(state, -1) ~= 'l' then
    redis.call('HSET', tombs, ARGV[1] .. '/' .. ARGV[2], 1)
    redis.call('PEXPIRE', tombs, ARGV[3])
end
if stored == 0 then
    return 0
end
if state then
    push_inbox(KEYS[6], KEYS[7], ttl, ARGV[5])
end
if redis.call('EXISTS', members) == 0 then
    redis.call('SREM', index, ARGV[2])
    if state then
        push_inbox(KEYS[6], KEYS[7], ttl, ARGV[6])
    end
end
return 1
