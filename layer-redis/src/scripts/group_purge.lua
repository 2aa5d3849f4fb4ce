-- Removes members of a node that has no lease; 0 if it has one.
-- KEYS: lease, index, members, groups_of of each member
-- ARGV: group, then local for each
local lease, index, members = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', lease) == 1 then
    return 0
end
for i = 4, #KEYS do
    redis.call('HDEL', members, ARGV[i - 2])
    redis.call('SREM', KEYS[i], ARGV[1])
end
if redis.call('EXISTS', members) == 0 then
    redis.call('SREM', index, ARGV[1])
end
return 1
