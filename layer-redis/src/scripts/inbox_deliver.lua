-- Delivers what is due to an inbox. Says how many were dropped, and when to look
-- again, in milliseconds of this server's time (-1: never).
-- KEYS: lease, inbox, bytes, delayed, waiting, delayed_of
-- ARGV: entries_max, bytes_max, ttl_ms, holds (0 or 1)
return { delays().deliver_due(KEYS, ARGV, now_ms()) }
