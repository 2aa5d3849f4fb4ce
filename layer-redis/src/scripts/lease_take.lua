-- Takes a node's lease. A value that ends in `a` says that the node has yet to
-- announce its members, one that ends in `l` that it has.
-- KEYS: lease, inbox, bytes
-- ARGV: value, lease_ms, inbox_ttl_ms
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return 1
