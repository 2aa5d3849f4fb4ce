-- Stands behind the common part in every script that deals with messages that
-- wait for their time. It is one function, made when it is needed: most scripts
-- that can need it are called where nothing waits.
local function delays()
    -- What one step lets in of what is due: Redis does nothing else meanwhile.
    local STEP_MAX, STEP_BYTES = 512, 1048576

    -- A message waits for its time in a sorted set, by the time at which it is due:
    -- a number that grows, so that what is due at the same time keeps its order,
    -- and its key. A hash has, for each key, that number and the message.

    -- The first message that is due: its member, when it is due, its key.
    local function first_due(delayed, now)
        local first = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1)
        if first[1] then
            return first[1], tonumber(first[2]), string.sub(first[1], 9)
        end
    end

    -- When the first message is due, whenever that is; -1 if none waits.
    local function next_due(delayed)
        return tonumber(redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2] or -1)
    end

    -- Lets a message wait; its time to live is counted from the due time.
    local function put_delayed(delayed, waiting, now, delay_ms, ttl_ms, key, message)
        local number = struct.pack('>I8', redis.call('HINCRBY', waiting, 'number', 1))
        redis.call('ZADD', delayed, now + delay_ms, number .. key)
        redis.call('HSET', waiting, key, number .. message)
        keep(delayed, delay_ms + ttl_ms)
        keep(waiting, delay_ms + ttl_ms)
    end

    -- Takes a message out of those that wait.
    local function take_delayed(delayed, waiting, member, key)
        redis.call('ZREM', delayed, member)
        redis.call('HDEL', waiting, key)
        if redis.call('EXISTS', delayed) == 0 then
            redis.call('DEL', waiting)
        end
    end

    -- Lets in what is due on a channel, in order, as far as there is room; drops
    -- what has waited for that until its expiry. Says how many were let in, and
    -- when to look again (-1: never).
    local function admit_due(list, statistics, ttl_s, delayed, waiting, capacity, expiry, grace, now)
        local length = redis.call('LLEN', list)
        local admitted, expired, size, until_ms, is_full = 0, 0, 0, 0, false
        if length >= capacity then
            local dropped = drop_expired(list, now, STEP_MAX, STEP_BYTES)
            length = length - dropped
            expired = dropped
        end
        for _ = 1, STEP_MAX do
            local member, due, key = first_due(delayed, now)
            if not member or size >= STEP_BYTES then
                break
            end
            if due + expiry <= now then
                expired = expired + 1
            elseif length >= capacity then
                is_full = true
                break
            else
                local held = redis.call('HGET', waiting, key)
                if held then
                    until_ms = due + expiry
                    redis.call('RPUSH', list, struct.pack('>I8', until_ms) .. string.sub(held, 9))
                    length, admitted, size = length + 1, admitted + 1, size + #held
                end
            end
            take_delayed(delayed, waiting, member, key)
        end
        if admitted > 0 then
            keep(list, until_ms - now + grace)
        end
        count(statistics, ttl_s, 'sent', admitted)
        count(statistics, ttl_s, 'expired', expired)
        return admitted, is_full and now + 1000 or next_due(delayed)
    end

    -- Delivers what is due to an inbox, in order, as far as there is room; drops
    -- what is for a node that is gone, unless it may be on its way back (holds),
    -- and what has waited for room until its expiry. Says how many were dropped,
    -- and when to look again (-1: never).
    -- keys: lease, inbox, bytes, delayed, waiting, delayed_of
    -- limits: entries_max, bytes_max, ttl_ms, holds (0 or 1)
    local function deliver_due(keys, limits, now)
        local inbox, bytes, delayed, waiting = keys[2], keys[3], keys[4], keys[5]
        local entries_max, bytes_max = tonumber(limits[1]), tonumber(limits[2])
        local alive = redis.call('EXISTS', keys[1]) == 1
        local length = alive and redis.call('LLEN', inbox) or 0
        local stored = alive and tonumber(redis.call('GET', bytes) or 0) or 0
        local dropped, size, is_stuck = 0, 0, false
        for _ = 1, STEP_MAX do
            local member, _, key = first_due(delayed, now)
            if not member or size >= STEP_BYTES then
                break
            end
            local held = redis.call('HGET', waiting, key)
            if held then
                local letter = string.sub(held, 33)
                local full = length >= entries_max or (stored + #letter > bytes_max and length > 0)
                if alive and not full then
                    push_inbox(inbox, bytes, tonumber(limits[3]), letter)
                    length, stored, size = length + 1, stored + #letter, size + #letter
                elseif (alive or limits[4] == '1') and deadline(string.sub(held, 9)) > now then
                    is_stuck = true
                    break
                else
                    dropped = dropped + 1
                end
                local place = string.sub(held, 17, 32)
                if redis.call('HINCRBY', keys[6], place, -1) <= 0 then
                    redis.call('HDEL', keys[6], place)
                end
            end
            take_delayed(delayed, waiting, member, key)
        end
        return dropped, is_stuck and now + 1000 or next_due(delayed)
    end

    return {
        first_due = first_due,
        next_due = next_due,
        put = put_delayed,
        take = take_delayed,
        admit_due = admit_due,
        deliver_due = deliver_due,
    }
end
