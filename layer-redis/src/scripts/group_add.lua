-- Makes a connection a member of a group. Without a lease its node cannot be
-- told: it finds the membership stored if it comes back, and if it does not,
-- whoever buries it does. Where the owner is only to be told again, nothing is
-- done unless this very membership is stored. Answers 0 nothing done, 1 done, 2 done without
-- telling.
-- KEYS: lease, members, index, groups_of, tombs, inbox, bytes
-- ARGV: local, group, meta, expiry_ms, inbox_ttl_ms, only_if_stored (0 or 1), join
local lease, members, index, groups_of, tombs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local expiry = tonumber(ARGV[4])
if ARGV[6] == '1' and redis.call('HGET', members, ARGV[1]) ~= ARGV[3] then
    return 0
end
redis.call('HSET', members, ARGV[1], ARGV[3])
redis.call('SADD', index, ARGV[2])
redis.call('SADD', groups_of, ARGV[2])
redis.call('PEXPIRE', members, expiry)
redis.call('PEXPIRE', index, expiry)
redis.call('PEXPIRE', groups_of, expiry)
if redis.call('HEXISTS', tombs, ARGV[1]) == 1 then
    redis.call('HSET', tombs, ARGV[1] .. '/' .. ARGV[2], 0)
else
    redis.call('HDEL', tombs, ARGV[1] .. '/' .. ARGV[2])
end
if redis.call('EXISTS', lease) == 0 then
    return 2
end
push_inbox(KEYS[6], KEYS[7], tonumber(ARGV[5]), ARGV[7])
return 1
