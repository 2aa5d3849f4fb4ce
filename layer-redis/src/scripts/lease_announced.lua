-- Ends the announcement of a node: from now on a discard needs no tomb.
-- KEYS: lease, tombs
-- ARGV: value, value afterwards
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
redis.call('DEL', KEYS[2])
return 1
