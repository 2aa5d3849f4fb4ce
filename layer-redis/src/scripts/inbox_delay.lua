-- Lets an entry for a connection wait for its time, or delivers it if there is
-- nothing to wait for. Says how many were dropped; -1 if as many wait for that
-- connection as may.
-- KEYS: lease, inbox, bytes, delayed, waiting, delayed_of
-- ARGV: entries_max, bytes_max, ttl_ms, holds (0 or 1), delayed_max, delay_ms,
-- expiry_ms, grace_ms, key, local, letter
local delayed, waiting, delayed_of = KEYS[4], KEYS[5], KEYS[6]
local delay, expiry = tonumber(ARGV[6]), tonumber(ARGV[7])
local ttl = expiry + tonumber(ARGV[8])
local now = now_ms()
local delays = delays()
if tonumber(redis.call('HGET', delayed_of, ARGV[10]) or 0) >= tonumber(ARGV[5]) then
    return -1
end
local until_ms = struct.pack('>I8', now + delay + expiry)
delays.put(delayed, waiting, now, delay, ttl, ARGV[9], until_ms .. ARGV[10] .. ARGV[11])
redis.call('HINCRBY', delayed_of, ARGV[10], 1)
keep(delayed_of, delay + ttl)
if delay > 0 then
    return 0
end
return (delays.deliver_due(KEYS, ARGV, now))
