-- Renews a node's lease; 0 if it is not there any more.
-- KEYS: lease, inbox, bytes
-- ARGV: value, lease_ms, inbox_ttl_ms
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 1
