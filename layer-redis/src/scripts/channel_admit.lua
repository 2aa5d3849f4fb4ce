-- Lets in what is due on a channel. Says how many, and when to look again, in
-- milliseconds of this server's time (-1: never).
-- KEYS: list, statistics, delayed, waiting
-- ARGV: capacity, expiry_ms, grace_ms, statistics_ttl_s (0: none)
local capacity, expiry, grace = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
return {
    delays().admit_due(KEYS[1], KEYS[2], ARGV[4], KEYS[3], KEYS[4], capacity, expiry, grace, now_ms()),
}
