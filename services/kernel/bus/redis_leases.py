"""Leases, mail and levels on Redis through redis-py; what runs out or fills up does so by Redis's clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import redis.asyncio
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer

from services.kernel.bus.base import Away, Lease
from services.kernel.model.bucket import Charge

T = TypeVar("T")

_DEADLINE = 0.5  # two of them, one at each of two gateways, may come before what a poll waits for
_SILENCE = 1.0
_CONNECTIONS = 32  # who finds none free waits for one, as long as for an answer

# KEYS[1] hash, ARGV[1] ttl in ms, then key, payload, key, payload … → the keys that were not there.
_HOLD = """
local t = redis.call('TIME')
local ends = t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[1]
local fresh = {}
for i = 2, #ARGV, 2 do
  if redis.call('HSET', KEYS[1], ARGV[i], string.format('%015d', ends) .. ARGV[i + 1]) == 1 then
    fresh[#fresh + 1] = ARGV[i]
  end
end
if redis.call('PTTL', KEYS[1]) < ARGV[1] * 4 then redis.call('PEXPIRE', KEYS[1], ARGV[1] * 4) end
return fresh
"""

# KEYS[1] hash, ARGV key, payload, key, payload …
_RELEASE = """
for i = 1, #ARGV, 2 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  if held and string.sub(held, 16) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
"""

# KEYS[1] hash, ARGV key, value, new value, … → the new value stands where the value has not changed meanwhile.
_SHORTEN = """
for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
"""

# KEYS buckets, ARGV rate, burst, spent, believed for each → what is left in each, as text.
_SETTLE = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local found = {}
for i, key in ipairs(KEYS) do
  local rate, burst = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
  local left = tonumber(ARGV[4 * i])
  local known = redis.call('GET', key)
  if known then
    local was, at = string.match(known, '^(%S+) (%S+)$')
    left = math.min(burst, was + math.max(0, now - at) * rate) - ARGV[4 * i - 1]
  end
  local life = math.ceil((burst - left) / rate * 1000) + 1000
  redis.call('SET', key, string.format('%.6f %.6f', left, now), 'PX', life)
  found[i] = string.format('%.6f', left)
end
return found
"""
_KEYS_AT_ONCE = 256  # Redis does nothing else while a script runs
_STAMP = 15
_FORGET_AFTER_MS = 60_000
_LONGEST_MS = 60_000
"""A lease that ends later was made before the server's clock was set back."""


class RedisLeases:
    """Leases, Mail and Levels on one Redis. Every method raises Away when Redis does not answer within half a second.

    For a second after that every method raises it at once, so that a call which asks often waits once.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._hold = client.register_script(_HOLD)
        self._release = client.register_script(_RELEASE)
        self._shorten = client.register_script(_SHORTEN)
        self._settle = client.register_script(_SETTLE)
        self._silent_until = 0.0

    async def hold(self, group: str, facts: Mapping[str, bytes], ttl: float) -> set[str]:
        """See Leases.hold."""
        args: list[bytes | str | int] = [int(ttl * 1000)]
        for key, payload in facts.items():
            args += [key, payload]
        fresh = await self._ask(lambda: self._hold(keys=[group], args=args))
        return {key.decode() for key in fresh}

    async def holders(self, groups: Sequence[str]) -> list[dict[str, Lease]]:
        """See Leases.holders; also deletes what ran out a minute ago, and lets nothing live on for more than one."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        for group in groups:
            pipe.hgetall(group)
        (seconds, micros), *hashes = await self._ask(pipe.execute)
        now = seconds * 1000 + micros // 1000
        hashes = [
            {key: value for key, value in found.items() if value[:_STAMP].isdigit()} for found in hashes
        ]
        for group, found in zip(groups, hashes, strict=True):
            old = [key for key, value in found.items() if int(value[:_STAMP]) + _FORGET_AFTER_MS < now]
            if old:
                await self._ask(partial(self._redis.hdel, group, *old))
            await self._shorten_in(group, found, now + _LONGEST_MS)
        return [
            {key.decode(): Lease(value[_STAMP:], int(value[:_STAMP]) > now) for key, value in found.items()}
            for found in hashes
        ]

    async def _shorten_in(self, group: str, found: Mapping[bytes, bytes], latest: int) -> None:
        args: list[bytes] = []
        for key, value in found.items():
            if int(value[:_STAMP]) > latest:
                args += [key, value, b"%015d" % latest + value[_STAMP:]]
        if args:
            await self._ask(lambda: self._shorten(keys=[group], args=args))

    async def release(self, group: str, facts: Mapping[str, bytes]) -> None:
        """See Leases.release."""
        args = [part for fact in facts.items() for part in fact]
        if args:
            await self._ask(lambda: self._release(keys=[group], args=args))

    async def once(self, key: str, ttl: float) -> bool:
        """See Leases.once."""
        return bool(await self._ask(lambda: self._redis.set(key, b"1", nx=True, px=int(ttl * 1000))))

    async def post(self, box: str, letters: Sequence[bytes], keep: int, ttl: float) -> None:
        """See Mail.post."""
        if not letters:
            return
        pipe = self._redis.pipeline(transaction=True)
        pipe.rpush(box, *letters)
        pipe.ltrim(box, -keep, -1)
        pipe.pexpire(box, int(ttl * 1000))
        await self._ask(pipe.execute)

    async def collect(self, box: str) -> list[bytes]:
        """See Mail.collect."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.lrange(box, 0, -1)
        pipe.delete(box)
        letters, _ = await self._ask(pipe.execute)
        return list(letters)

    async def settle(self, charges: Sequence[Charge]) -> list[float]:
        """See Levels.settle; one round trip for every 256 buckets."""
        left: list[float] = []
        for start in range(0, len(charges), _KEYS_AT_ONCE):
            part = charges[start : start + _KEYS_AT_ONCE]
            args = [number for each in part for number in _numbers(each)]
            keys = [each.key for each in part]
            found = await self._ask(partial(self._settle, keys=keys, args=args))
            left += [float(each) for each in found]
        return left

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        now = asyncio.get_running_loop().time
        if now() < self._silent_until:
            raise Away("Redis gave no answer a moment ago")
        try:
            return await ask()
        except (RedisError, OSError, RuntimeError) as problem:  # uvloop: RuntimeError, when it just closed
            if isinstance(problem, NoAnswer | TimeoutError):
                self._silent_until = now() + _SILENCE
            raise Away(str(problem)) from problem


def _numbers(charge: Charge) -> tuple[float, ...]:
    return (charge.quota.rate, charge.quota.burst, charge.spent, charge.left)


@asynccontextmanager
async def open_leases(url: str) -> AsyncIterator[RedisLeases]:
    """Leases on the Redis at this URL; connects on first use."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        socket_timeout=_DEADLINE,
        socket_connect_timeout=_DEADLINE,
        max_connections=_CONNECTIONS,
        timeout=_DEADLINE,
    )
    client = redis.asyncio.Redis.from_pool(pool)
    try:
        yield RedisLeases(client)
    finally:
        await client.aclose()
