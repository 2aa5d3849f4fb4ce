-- Removes a node from a group's registry if its token is still the one seen.
-- KEYS: registry
-- ARGV: node, token
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
    return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
