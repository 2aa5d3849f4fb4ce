-- Gives a message for a group its offset and keeps it. Answers the epoch, the
-- offset, and the registry of the group, as pairs of node and token.
-- KEYS: state, kept, registry
-- ARGV: run_id, epoch if a new one is begun, count_max, bytes_max, ttl_ms,
-- life_ms, message
local state, kept = KEYS[1], KEYS[2]
local now = now_ms()
local known = history(state, kept, ARGV[1], ARGV[2])
if redis.call('EXISTS', kept) == 0 then
    known.bytes, known.ends = 0, 0
end
known.offset = known.offset + 1
known.ends = math.max(known.ends, now + ARGV[5])
known.life_ms = math.max(known.life_ms, tonumber(ARGV[6]))
local entry = struct.pack('>I8', known.ends) .. ARGV[7]
redis.call('RPUSH', kept, entry)
local bytes = known.bytes + #entry + OVERHEAD
local _, left = trim(kept, bytes, now, tonumber(ARGV[3]), tonumber(ARGV[4]))
known.bytes = left
put_history(state, known)
keep(kept, known.ends - now)
keep(state, known.life_ms)
return { known.epoch, known.offset, redis.call('HGETALL', KEYS[3]) }
