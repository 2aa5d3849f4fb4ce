-- Recalls what a group keeps behind a position. Answers the epoch, the offset
-- given last, whether all behind the position is kept (0 or 1), the offset of the
-- first message that is recalled, and the messages.
-- KEYS: state, kept
-- ARGV: run_id, epoch if a new one is begun, life_ms, life_ms while nothing was
-- published, the position's epoch (empty for none) and offset, count_max
local state, kept = KEYS[1], KEYS[2]
local known = history(state, kept, ARGV[1], ARGV[2])
local length, bytes = trim(kept, known.bytes, now_ms(), math.huge, math.huge)
local life_ms = tonumber(ARGV[4])
if known.offset > 0 then
    life_ms = math.max(known.life_ms, tonumber(ARGV[3]))
end
if bytes ~= known.bytes or life_ms ~= known.life_ms then
    known.bytes, known.life_ms = bytes, life_ms
    put_history(state, known)
end
keep(state, life_ms)
local since, count = tonumber(ARGV[6]), tonumber(ARGV[7])
local first = known.offset - length + 1
local from, complete = first, 0
if ARGV[5] == '' then
    from, complete = math.max(first, known.offset - count + 1), 1
elseif ARGV[5] == known.epoch and since <= known.offset then
    from = math.max(first, since + 1)
    complete = since + 1 >= first and 1 or 0
end
local entries = {}
if count > 0 then
    entries = redis.call('LRANGE', kept, from - first, from - first + count - 1)
end
return { known.epoch, known.offset, complete, from, entries }
