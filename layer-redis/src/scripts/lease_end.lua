-- Declares a node dead, or ends it at its own wish: nothing reaches it any
-- more. 0 if it turns out to be alive.
-- KEYS: lease, inbox, bytes, gap, room, tombs
-- ARGV: own (1: the caller is the node)
if ARGV[1] ~= '1' and redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
if ARGV[1] == '1' then
    redis.call('DEL', KEYS[6])
end
return 1
