"""The Lua scripts: everything that has to be read and written in one step."""

from typing import Final

_OWNED: Final = """
-- Returns the host ports that a pod has, from its recorded intent: other pods' ports are not looked at.
local function owned(ports, pod, intent)
  local found = {}
  if not intent then return found end
  local readable = pcall(function()
    for _, port in ipairs(cjson.decode(intent).ports) do
      local field = port.protocol .. '/' .. string.format('%d', port.host) .. '/' .. port.address
      if redis.call('HGET', ports, field) == pod then table.insert(found, field) end
    end
  end)
  if readable then return found end
  local taken = redis.call('HGETALL', ports)
  for i = 1, #taken, 2 do
    if taken[i + 1] == pod then table.insert(found, taken[i]) end
  end
  return found
end
"""

_RESERVE: Final = (
    _OWNED
    + """
-- Returns another pod that has a port which excludes this one.
local function clash(ports, pod, port)
  local place, address = string.match(port, '^([^/]+/[^/]+)/(.+)$')
  if address == '0.0.0.0' or address == '::' then
    -- Any address of another pod excludes this, and those addresses are not known.
    local taken = redis.call('HGETALL', ports)
    for i = 1, #taken, 2 do
      if taken[i + 1] ~= pod and string.sub(taken[i], 1, #place + 1) == place .. '/' then
        return taken[i + 1]
      end
    end
  end
  for _, other in ipairs({address, '0.0.0.0', '::'}) do
    local owner = redis.call('HGET', ports, place .. '/' .. other)
    if owner and owner ~= pod then return owner end
  end
end

-- Reserves host ports for a pod and frees those that it had. If another pod has one, returns port and pod.
local function reserve(ports, pod, wanted, intent)
  for port, _ in pairs(wanted) do
    local owner = clash(ports, pod, port)
    if owner then return {'port', port, owner} end
  end
  for _, port in ipairs(owned(ports, pod, intent)) do
    if not wanted[port] then redis.call('HDEL', ports, port) end
  end
  for port, _ in pairs(wanted) do redis.call('HSET', ports, port, pod) end
end
"""
)

ACCEPT: Final = (
    _RESERVE
    + """
-- KEYS: pod, task, all pods, host's pods, host's ports, task's attempts
-- ARGV: pod id, expected generation, host, intent, generation, task memory (s), then the wanted ports
-- A message that is delivered again, late or not, finds its own mark and changes nothing (protocol 1).
local seen = redis.call('GET', KEYS[2])
if seen then return {'seen', seen} end
local generation = redis.call('HGET', KEYS[1], 'generation') or '0'
if generation ~= ARGV[2] then return {'generation', generation} end
local wanted = {}
for i = 7, #ARGV do wanted[ARGV[i]] = true end
local before = redis.call('HGET', KEYS[1], 'intent')
local taken = reserve(KEYS[5], ARGV[1], wanted, before)
if taken then return taken end
-- A new pod may live on another host than the deleted pod of its name did.
local former = redis.call('HGET', KEYS[1], 'host')
if former and former ~= ARGV[3] then
  redis.call('SREM', string.sub(KEYS[4], 1, -1 - #ARGV[3]) .. former, ARGV[1])
  reserve(string.sub(KEYS[5], 1, -1 - #ARGV[3]) .. former, ARGV[1], {}, before)
end
redis.call('HSET', KEYS[1], 'host', ARGV[3], 'intent', ARGV[4], 'generation', ARGV[5])
-- The record of a deleted pod expires. If the pod is asked for again, it must not.
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('SADD', KEYS[4], ARGV[1])
redis.call('SET', KEYS[2], ARGV[5], 'EX', ARGV[6])
redis.call('DEL', KEYS[6])
return {'accepted', ARGV[5]}
"""
)

MOVE_PORTS: Final = (
    _RESERVE
    + """
-- KEYS: pod, lease, host's ports
-- ARGV: pod id, token, generation, intent, then the wanted ports
if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2] then return {'lease'} end
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and tonumber(fence) > tonumber(ARGV[2]) then return {'lease'} end
local generation = redis.call('HGET', KEYS[1], 'generation') or '0'
if generation ~= ARGV[3] then return {'generation', generation} end
local wanted = {}
for i = 5, #ARGV do wanted[ARGV[i]] = true end
local taken = reserve(KEYS[3], ARGV[1], wanted, redis.call('HGET', KEYS[1], 'intent'))
if taken then return taken end
redis.call('HSET', KEYS[1], 'intent', ARGV[4])
return {'moved'}
"""
)

SAVE: Final = (
    _OWNED
    + """
-- KEYS: pod, lease, host's ports, events
-- ARGV: pod id, token, state, phase, reason, gone (1 or 0), generation, tombstone memory (s),
--       length of the stream, channel
local holder = redis.call('HGET', KEYS[2], 'token')
if holder ~= ARGV[2] then return 'lease' end
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and tonumber(fence) > tonumber(ARGV[2]) then return 'lease' end
local generation = redis.call('HGET', KEYS[1], 'generation')
if not generation then return 'lease' end
local previous = redis.call('HGET', KEYS[1], 'phase') or ''
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'fence', ARGV[2], 'phase', ARGV[4])
if ARGV[4] ~= previous then
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[9], '*', 'pod_id', ARGV[1], 'phase', ARGV[4],
    'previous', previous, 'host', redis.call('HGET', KEYS[1], 'host'), 'generation', ARGV[7],
    'reason', ARGV[5])
end
-- Only if no new pod was asked for in the meantime: a new pod keeps its ports and its record.
if ARGV[6] == '1' and generation == ARGV[7] then
  for _, port in ipairs(owned(KEYS[3], ARGV[1], redis.call('HGET', KEYS[1], 'intent'))) do
    redis.call('HDEL', KEYS[3], port)
  end
  redis.call('EXPIRE', KEYS[1], ARGV[8])
end
redis.call('PUBLISH', ARGV[10], ARGV[4])
return 'saved'
"""
)

TAKE_LEASE: Final = """
-- KEYS: lease, fence   ARGV: owner, milliseconds until somebody else may take it
-- The same owner asks again if the answer was lost: it gets the lease that it has.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return redis.call('HGET', KEYS[1], 'token')
end
if owner then
  -- Expiry follows the wall clock. If that was set back, the lease of a dead holder lasts longer than any
  -- lease should. A holder that is alive renews it anyway.
  if redis.call('PTTL', KEYS[1]) > 2 * ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return false
end
local token = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return tostring(token)
"""

RENEW_LEASE: Final = """
-- KEYS: lease   ARGV: owner, milliseconds
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

RELEASE_LEASE: Final = """
-- KEYS: lease   ARGV: owner, channel
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], 'released')
return 1
"""

COUNT_ATTEMPT: Final = """
-- KEYS: attempts   ARGV: memory (s)
local count = redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return count
"""

BEAT: Final = """
-- KEYS: heartbeats   ARGV: host
-- Answers when the heartbeat before was, false for none, and when this one is.
-- With microseconds, as two workers of a host may have theirs in one second.
local time, before = redis.call('TIME'), redis.call('ZSCORE', KEYS[1], ARGV[1])
local now = time[1] .. '.' .. string.format('%06d', time[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
return {before, now}
"""

NOTED: Final = """
-- KEYS: store, storages   ARGV: the id for a store that has none
local store = redis.call('GET', KEYS[1])
if not store then
  store = ARGV[1]
  redis.call('SET', KEYS[1], store)
end
return {store, redis.call('HGETALL', KEYS[2])}
"""

LIVE_HOSTS: Final = """
-- KEYS: heartbeats   ARGV: seconds for which a heartbeat counts
-- A heartbeat from the future is from before the clock was set back: a live host beats again soon.
local now = redis.call('TIME')[1]
return redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[1], now + ARGV[1])
"""

RENAME_HOST: Final = """
-- KEYS: storages, heartbeats, reported, old host's pods, new host's pods, old host's ports, new host's ports
-- ARGV: old host, new host, identity of the storage, seconds for which a heartbeat counts, prefix of pods
local beat = redis.call('ZSCORE', KEYS[2], ARGV[1])
local now = tonumber(redis.call('TIME')[1])
if beat and math.abs(now - tonumber(beat)) <= tonumber(ARGV[4]) then return false end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[3] then return false end
local there = redis.call('HGET', KEYS[1], ARGV[2])
if there and there ~= ARGV[3] then return false end
local moved = 0
for _, id in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  if redis.call('HGET', ARGV[5] .. id, 'host') == ARGV[1] then
    redis.call('HSET', ARGV[5] .. id, 'host', ARGV[2])
    redis.call('SADD', KEYS[5], id)
    moved = moved + 1
  end
end
local ports = redis.call('HGETALL', KEYS[6])
for i = 1, #ports, 2 do redis.call('HSETNX', KEYS[7], ports[i], ports[i + 1]) end
redis.call('DEL', KEYS[4], KEYS[6])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('SADD', KEYS[3], ARGV[2])
return moved
"""

TAKE: Final = """
-- Takes messages from queues in turns and notes them as taken, in one step.
-- Returns queue, tag and text of each. What cannot be read stays in its queue, to be taken alone and refused.
-- KEYS: times of the taken, the taken, then queues, the first one first
-- ARGV: now, most messages, most bytes, then for each queue the most of it
local most, room, taken = tonumber(ARGV[2]), tonumber(ARGV[3]), {}
local left = {}
for i = 3, #KEYS do left[i] = tonumber(ARGV[i + 1]) end
local function take(i)
  if left[i] < 1 or #taken >= most then return false end
  local raw = redis.call('LINDEX', KEYS[i], -1)
  if not raw or #raw > room then return false end
  local readable, tag, exchange, key = pcall(function()
    local properties = cjson.decode(raw).properties
    return properties.delivery_tag, properties.delivery_info.exchange, properties.delivery_info.routing_key
  end)
  if not readable or type(exchange) ~= 'string' or type(key) ~= 'string' then return false end
  if type(tag) ~= 'string' or not string.match(tag, '^[%w_-]+$') then return false end
  redis.call('RPOP', KEYS[i])
  redis.call('ZADD', KEYS[1], ARGV[1], tag)
  local where = cjson.encode(exchange) .. ',' .. cjson.encode(key)
  redis.call('HSET', KEYS[2], tag, '[' .. raw .. ',' .. where .. ']')
  left[i], room = left[i] - 1, room - #raw
  table.insert(taken, {KEYS[i], tag, raw})
  return true
end
local again = true
while again do
  again = false
  for i = 3, #KEYS do
    if take(i) then again = true end
  end
end
return taken
"""
