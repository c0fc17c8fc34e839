"""More questions to Redis at once than one process has connections: each is answered, none counts as an outage."""

import asyncio
import secrets

from services.kernel.bus.redis_leases import open_leases


async def test_of_three_hundred_who_ask_at_once_one_is_first(redis_url: str) -> None:
    key = f"test:{secrets.token_hex(8)}"
    async with open_leases(redis_url) as leases:
        firsts = await asyncio.gather(*(leases.once(key, 5) for _ in range(300)))
        fresh = await asyncio.gather(*(leases.hold(key + ":hash", {str(n): b"x"}, 5) for n in range(300)))
        (held,) = await leases.holders([key + ":hash"])
    assert sum(firsts) == 1
    assert fresh == [{str(n)} for n in range(300)]
    assert set(held) == {str(n) for n in range(300)}


async def test_letters_of_a_burst_stay_in_order(redis_url: str) -> None:
    box = f"test:{secrets.token_hex(8)}"
    async with open_leases(redis_url) as mail:
        await asyncio.gather(
            *(mail.post(box + str(n), [b"%d" % each for each in range(70)], 64, 5) for n in range(150))
        )
        got = await asyncio.gather(*(mail.collect(box + str(n)) for n in range(150)))
        assert await mail.collect(box + "0") == []
    assert got == [[b"%d" % each for each in range(6, 70)]] * 150
