"""The Leases and Mail protocols: facts that run out, things done once, short queues."""

from collections.abc import AsyncIterator
from typing import Protocol

import pytest
import pytest_asyncio

from services.kernel.bus.base import Away, Lease, Leases, Mail


class Shared(Leases, Mail, Protocol):
    """Both protocols, as one object implements them."""


class LeasesWorld(Protocol):
    """One server (or what stands for it) and its time."""

    async def open(self) -> Shared:
        """Another client of the same server."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Returns after so many seconds of the server's clock."""
        ...

    async def cut(self) -> None:
        """The server is gone."""
        ...

    async def aclose(self) -> None:
        """Ends all clients."""
        ...


async def held(leases: Leases, group: str = "g") -> dict[str, Lease]:
    """The facts of one group."""
    [found] = await leases.holders([group])
    return found


class LeasesSuite:
    """Run with a `world` fixture."""

    @pytest_asyncio.fixture
    async def leases(self, world: LeasesWorld) -> AsyncIterator[Shared]:
        """One client."""
        yield await world.open()
        await world.aclose()

    async def test_what_one_holds_another_sees(self, leases: Shared, world: LeasesWorld) -> None:
        facts = {"a": b"1", "b:c d": b"", "\u00fc": bytes(range(256))}
        await leases.hold("g", facts, 10)
        other = await world.open()
        assert await held(other) == {key: Lease(payload, True) for key, payload in facts.items()}

    async def test_hold_returns_the_keys_that_were_not_there(self, leases: Shared) -> None:
        assert await leases.hold("g", {"a": b"1", "b": b"2"}, 10) == {"a", "b"}
        assert await leases.hold("g", {"b": b"3", "c": b"4"}, 10) == {"c"}
        assert await leases.hold("other", {"a": b"5"}, 10) == {"a"}
        assert {key: lease.payload for key, lease in (await held(leases)).items()} == {
            "a": b"1",
            "b": b"3",
            "c": b"4",
        }

    async def test_holding_nothing_changes_nothing(self, leases: Shared) -> None:
        assert await leases.hold("g", {}, 10) == set()
        assert await held(leases) == {}

    async def test_groups_are_answered_in_the_order_asked(self, leases: Shared) -> None:
        await leases.hold("g1", {"a": b"1"}, 10)
        await leases.hold("g2", {"b": b"2"}, 10)
        found = await leases.holders(["g2", "none", "g1", "g2"])
        assert [set(each) for each in found] == [{"b"}, set(), {"a"}, {"b"}]
        assert await leases.holders([]) == []

    async def test_a_fact_runs_out_unless_repeated(self, leases: Shared, world: LeasesWorld) -> None:
        await leases.hold("g", {"once": b"1", "again": b"2"}, 0.4)
        await world.pass_time(0.25)
        assert await leases.hold("g", {"again": b"3"}, 0.4) == set()
        await world.pass_time(0.25)
        assert await held(leases) == {"once": Lease(b"1", False), "again": Lease(b"3", True)}

    async def test_a_released_fact_is_gone_and_may_come_again(self, leases: Shared) -> None:
        await leases.hold("g", {"a": b"1", "b": b"2", "c": b"3"}, 10)
        await leases.release("g", {"a": b"1", "c": b"3", "never held": b""})
        await leases.release("g", {"a": b"1"})
        await leases.release("none", {"a": b"1"})
        assert set(await held(leases)) == {"b"}
        assert await leases.hold("g", {"a": b"1"}, 10) == {"a"}

    async def test_a_fact_that_was_held_otherwise_since_is_not_released(
        self, leases: Shared, world: LeasesWorld
    ) -> None:
        await leases.hold("g", {"a": b"gone", "b": bytes(range(256))}, 10)
        await (await world.open()).hold("g", {"a": b"back"}, 10)
        await leases.release("g", {"a": b"gone", "b": bytes(range(256))})
        assert await held(leases) == {"a": Lease(b"back", True)}

    async def test_once_is_true_once_for_all_clients(self, leases: Shared, world: LeasesWorld) -> None:
        other = await world.open()
        assert await leases.once("n1", 10)
        assert not await leases.once("n1", 10)
        assert not await other.once("n1", 10)
        assert await other.once("n2", 10)

    async def test_once_is_true_again_after_its_time(self, leases: Shared, world: LeasesWorld) -> None:
        assert await leases.once("n", 0.05)
        await world.pass_time(0.07)
        assert await leases.once("n", 10)
        assert not await leases.once("n", 10)

    async def test_asking_again_does_not_prolong_once(self, leases: Shared, world: LeasesWorld) -> None:
        assert await leases.once("n", 0.4)
        await world.pass_time(0.25)
        assert not await leases.once("n", 0.4)
        await world.pass_time(0.2)
        assert await leases.once("n", 10)

    async def test_letters_are_collected_once_oldest_first(self, leases: Shared, world: LeasesWorld) -> None:
        await leases.post("box", [b"1", b"2"], 64, 10)
        await (await world.open()).post("box", [b"", b"\x00\xff"], 64, 10)
        await leases.post("other box", [b"x"], 64, 10)
        assert await leases.collect("box") == [b"1", b"2", b"", b"\x00\xff"]
        assert await leases.collect("box") == []
        assert await leases.collect("other box") == [b"x"]

    @pytest.mark.parametrize("at_once", [True, False], ids=["one post", "many posts"])
    async def test_a_box_keeps_the_newest(self, leases: Shared, at_once: bool) -> None:
        letters = [b"%d" % number for number in range(70)]
        for batch in [letters] if at_once else [[letter] for letter in letters]:
            await leases.post("box", batch, 64, 10)
        assert await leases.collect("box") == letters[-64:]

    async def test_letters_go_some_time_after_the_last_post(self, leases: Shared, world: LeasesWorld) -> None:
        await leases.post("box", [b"1"], 64, 0.4)
        await world.pass_time(0.25)
        await leases.post("box", [b"2"], 64, 0.4)
        await world.pass_time(0.25)
        assert await leases.collect("box") == [b"1", b"2"]
        await leases.post("box", [b"3"], 64, 0.05)
        await world.pass_time(0.07)
        assert await leases.collect("box") == []

    async def test_without_the_server_everything_raises_away(
        self, leases: Shared, world: LeasesWorld
    ) -> None:
        await leases.hold("g", {"a": b"1"}, 10)
        await world.cut()
        for work in (
            leases.hold("g", {"a": b"1"}, 10),
            leases.holders(["g"]),
            leases.release("g", {"a": b"1"}),
            leases.once("n", 10),
            leases.post("box", [b"1"], 64, 10),
            leases.collect("box"),
        ):
            with pytest.raises(Away):
                await work
