-- Reservations of several processes in one atomic step; `memory.py` and `windows.py` do the same for one process.
--
-- KEYS: the lease of every process (sorted set, by end); this process's reservations (hash, packed, by id).
-- ARGV: prefix of subjects' keys; a MessagePack array
--   { epoch, now_ms (0: the server's), lease_ms, day, is_keeper, learned, settled, claimed }
--     learned: { name, kind of period, period, nanousd }
--     settled: { id, tokens, nanousd, is_abort }
--     claimed: { id, tokens, nanousd, rules }, rules as `Rule`
-- Returns MessagePack { spends, verdicts }: for each of settled { { rule, before, after }, … }, for each of claimed a
-- `Verdict`, then an array of window starts, which says nothing here.
-- A subject's hash: window <slot> as "start previous current"; running; held; spent:<kind> as "period nanousd".
--
-- Everything is written at the end, so that a failing script has changed nothing.

local nodes_key, node_key, prefix = KEYS[1], KEYS[2], ARGV[1]
local epoch, now, lease, day, is_keeper, learned, settled, claimed = unpack(cmsgpack.unpack(ARGV[2]))
local KEEP_MS = 3 * 86400000
local FORGET_DEAD = 16

-- What a connection sent that was given up must not act after its claims were taken back by the next one.
local seen = tonumber(redis.call('HGET', node_key, 'epoch') or 0)
if seen > epoch then
  return redis.error_reply('STALE this process has connected again')
end
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local subjects = {}

local function whole(number)
  return string.format('%.0f', number)
end

local function subject(name)
  local found = subjects[name]
  if found then
    return found
  end
  found = { windows = {}, fields = {}, spent = {} }
  local stored = redis.call('HGETALL', prefix .. name)
  for at = 1, #stored, 2 do
    found.fields[stored[at]] = stored[at + 1]
  end
  found.running = tonumber(found.fields.running or 0)
  found.held = tonumber(found.fields.held or 0)
  subjects[name] = found
  return found
end

local function window_of(account, slot, length)
  local window = account.windows[slot]
  if not window then
    local start, previous, current = string.match(account.fields[tostring(slot)] or '', '^(%d+) (%d+) (%d+)$')
    window = { start = tonumber(start or now), previous = tonumber(previous or 0), current = tonumber(current or 0) }
    account.windows[slot] = window
  end
  local past = now - window.start
  if past >= length then
    if past >= 2 * length or window.current == 0 then
      window.start, window.previous = now, 0
    else
      window.start, window.previous = window.start + length, window.current
    end
    window.current = 0
  end
  return window
end

local function used_of(window, length)
  return window.current + math.ceil(window.previous * (length - (now - window.start)) / length)
end

local function correct(window, length, start, amount)
  if amount > 0 or window.start == start then
    window.current = math.max(0, window.current + amount)
  elseif window.start == start + length then
    window.previous = math.max(0, window.previous + amount)
  end
end

local function empty_in(window, length)
  if window.current > 0 then
    return window.start + 2 * length - now
  end
  return window.previous > 0 and window.start + length - now or 0
end

local function faded(count, room, length)
  return count > room and length - math.floor(length * room / count) or 0
end

local function room_in(window, length, room)
  if room < 0 then
    return -1
  elseif window.current <= room then
    return math.max(0, window.start - now + faded(window.previous, room - window.current, length))
  end
  return math.max(0, window.start + length - now + faded(window.current, room, length))
end

local function spent_of(account, kind)
  local spent = account.spent[kind]
  if not spent then
    local period, money = string.match(account.fields['spent:' .. kind] or '', '^(%S+) (%d+)$')
    spent = { period = period or '', money = tonumber(money or 0) }
    account.spent[kind] = spent
  end
  return spent
end

local function period_of(kind)
  return kind == 'day' and day or kind == 'month' and string.sub(day, 1, 7) or kind
end

local function give_back(held, tokens, nanousd, is_abort)
  local reserved_tokens, reserved_money, rules, starts = unpack(held)
  local spends, at = {}, 0
  for index, rule in ipairs(rules) do
    local name, spans, concurrent, budget, kind = unpack(rule)
    local account = subject(name)
    if concurrent > 0 then
      account.running = math.max(0, account.running - 1)
    end
    for _, span in ipairs(spans) do
      local slot, _, length, is_tokens = unpack(span)
      at = at + 1
      local amount = is_tokens and tokens - reserved_tokens or (is_abort and -1 or 0)
      if amount ~= 0 then
        correct(window_of(account, slot, length), length, starts[at], amount)
      end
    end
    if budget >= 0 then
      account.held = math.max(0, account.held - reserved_money)
      local spent = spent_of(account, kind)
      if nanousd > 0 and spent.period >= period_of(kind) then
        spends[#spends + 1] = { index - 1, spent.money, spent.money + nanousd }
        spent.money = spent.money + nanousd
      end
    end
  end
  return spends
end

local function refusal(tokens, nanousd, rules, meters)
  for index, rule in ipairs(rules) do
    local name, spans, concurrent, budget, kind = unpack(rule)
    local account = subject(name)
    if concurrent > 0 and account.running >= concurrent then
      return { 'concurrency', index - 1, concurrent, account.running, 1000 }
    end
    for _, span in ipairs(spans) do
      local slot, limit, length, is_tokens = unpack(span)
      local window = window_of(account, slot, length)
      local used = used_of(window, length)
      local cost = is_tokens and tokens or 1
      local left = limit - used - cost
      local reason = is_tokens and 'tokens' or 'requests'
      if left < 0 then
        local meter = { limit, math.max(0, limit - used), empty_in(window, length) }
        local wait = room_in(window, length, limit - cost)
        return { reason, index - 1, limit, used, wait, is_tokens and { 0, 0, 0 } or meter, is_tokens and meter or nil }
      end
      if not meters[reason] or left < meters[reason].left then
        meters[reason] = { left = left, limit = limit, window = window, length = length }
      end
    end
    if budget >= 0 then
      local spent = spent_of(account, kind)
      if spent.period < period_of(kind) then
        return { 'spend_unknown', index - 1 }
      end
      local cost = math.max(nanousd, 1)
      if spent.money + account.held + cost > budget then
        local wait = spent.money + cost > budget and -1 or 1000
        return { 'budget', index - 1, budget, spent.money + account.held, wait }
      end
    end
  end
end

local function take(tokens, nanousd, rules)
  local starts = {}
  for _, rule in ipairs(rules) do
    local name, spans, concurrent, budget = unpack(rule)
    local account = subject(name)
    if concurrent > 0 then
      account.running = account.running + 1
    end
    if budget >= 0 then
      account.held = account.held + nanousd
    end
    for _, span in ipairs(spans) do
      local slot, _, length, is_tokens = unpack(span)
      local window = window_of(account, slot, length)
      window.current = window.current + (is_tokens and tokens or 1)
      starts[#starts + 1] = window.start
    end
  end
  return starts
end

local function shown(meter)
  if not meter then
    return { 0, 0, 0 }
  end
  return { meter.limit, meter.left, empty_in(meter.window, meter.length) }
end

local kept, dropped, dropped_ids, dead = {}, {}, {}, {}

if is_keeper then
  local ended = redis.call('ZRANGEBYSCORE', nodes_key, '-inf', '(' .. whole(now), 'LIMIT', 0, FORGET_DEAD)
  for _, ended_key in ipairs(ended) do
    if ended_key ~= node_key then
      local stored = redis.call('HGETALL', ended_key)
      for at = 1, #stored, 2 do
        if stored[at] ~= 'epoch' then
          give_back(cmsgpack.unpack(stored[at + 1]), 0, 0, false)
        end
      end
      dead[#dead + 1] = ended_key
    end
  end
end

for _, news in ipairs(learned) do
  local name, kind, period, money = unpack(news)
  local spent = spent_of(subject(name), kind)
  if spent.period < period then
    spent.period, spent.money = period, money
  elseif spent.period == period then
    spent.money = math.max(spent.money, money)
  end
end

local spends = {}
for at, done in ipairs(settled) do
  local id, tokens, nanousd, is_abort = unpack(done)
  local held = redis.call('HGET', node_key, id)
  if held and not dropped[id] then
    spends[at] = give_back(cmsgpack.unpack(held), tokens, nanousd, is_abort)
    dropped[id] = true
    dropped_ids[#dropped_ids + 1] = id
  else
    spends[at] = {}
  end
end

local verdicts = {}
for at, claim in ipairs(claimed) do
  local id, tokens, nanousd, rules = unpack(claim)
  local meters = {}
  if redis.call('HEXISTS', node_key, id) == 1 then
    verdicts[at] = { '' }  -- sent again: the first answer was lost
  else
    local refused = refusal(tokens, nanousd, rules, meters)
    if not refused then
      kept[#kept + 1] = id
      kept[#kept + 1] = cmsgpack.pack({ tokens, nanousd, rules, take(tokens, nanousd, rules) })
      refused = { '', 0, 0, 0, 0, shown(meters.requests), shown(meters.tokens) }
    end
    verdicts[at] = refused
  end
end

redis.call('ZADD', nodes_key, whole(now + lease), node_key)
redis.call('PEXPIRE', nodes_key, whole(KEEP_MS))
if seen < epoch then
  kept[#kept + 1] = 'epoch'
  kept[#kept + 1] = whole(epoch)
end
for name, account in pairs(subjects) do
  local fields = { 'running', whole(account.running), 'held', whole(account.held) }
  for slot, window in pairs(account.windows) do
    fields[#fields + 1] = tostring(slot)
    fields[#fields + 1] = whole(window.start) .. ' ' .. whole(window.previous) .. ' ' .. whole(window.current)
  end
  for kind, spent in pairs(account.spent) do
    if spent.period ~= '' then
      fields[#fields + 1] = 'spent:' .. kind
      fields[#fields + 1] = spent.period .. ' ' .. whole(spent.money)
    end
  end
  redis.call('HSET', prefix .. name, unpack(fields))
  redis.call('PEXPIRE', prefix .. name, whole(KEEP_MS))
end
for _, id in ipairs(dropped_ids) do
  redis.call('HDEL', node_key, id)
end
for at = 1, #kept, 2 do
  redis.call('HSET', node_key, kept[at], kept[at + 1])
end
redis.call('PEXPIRE', node_key, whole(math.max(KEEP_MS, 2 * lease)))
for _, ended_key in ipairs(dead) do
  redis.call('DEL', ended_key)
  redis.call('ZREM', nodes_key, ended_key)
end
return cmsgpack.pack({ spends, verdicts })
