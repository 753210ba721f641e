-- What wrk sends. CALLS is a file of lines `path` or `path token`, sent in turn; BODY the bytes of a body (0: GET).
-- Requests are written out once, before the clock starts: wrk shares its CPU with the upstream.
local ready, at = {}, 0

local function written(path, token, body)
  local fields = { ["User-Agent"] = "compare", ["Accept"] = "*/*" }
  if token then
    fields["Authorization"] = "Bearer " .. token
    -- What a client must not be able to say. Each proxy has to replace it.
    fields["X-Tenant-ID"] = "somebody-else"
  end
  if body then
    fields["Content-Type"] = "application/octet-stream"
    return wrk.format("POST", path, fields, body)
  end
  return wrk.format("GET", path, fields)
end

function init()
  local size = tonumber(os.getenv("BODY") or "0")
  local body = size > 0 and string.rep("b", size) or nil
  for line in io.lines(os.getenv("CALLS")) do
    local path, token = line:match("^(%S+) (%S+)$")
    ready[#ready + 1] = written(path or line, token, body)
  end
end

function request()
  at = at % #ready + 1
  return ready[at]
end

function done(summary, latency)
  local wrong = summary.errors
  print(("result requests=%d micros=%d p50=%d p99=%d refused=%d errors=%d"):format(
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), wrong.status,
    wrong.connect + wrong.read + wrong.write + wrong.timeout))
end
