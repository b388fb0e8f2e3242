"""A layer may lose, double, delay or reorder every message, or be shared by nobody: what people see is the log."""

import asyncio

import pytest

pytestmark = [pytest.mark.servers, pytest.mark.redis]

FAULTS = ("dropping", "doubling", "delaying", "reordering")


@pytest.fixture
def two_servers(serve, redis_url, database_url):
    def start(layer, database="sqlite", **options):
        options = {"layer": layer, "redis": redis_url, "database": database_url(database), "log": "DEBUG", **options}
        return [serve(program, **options) for program in ("uvicorn", "daphne")]

    return start


async def converse(connect, servers, room, rounds=40):
    """Two people in each process, who all speak at once. What they see is returned when it is all there."""
    people = [await connect(server, room) for server in servers for _ in range(2)]
    for n in range(rounds):
        await asyncio.gather(*(who.publish(room, f"{name}: {n}") for name, who in enumerate(people)))
    return [await who.texts(room, count=rounds * len(people)) for who in people]


@pytest.mark.parametrize("layer", FAULTS)
async def test_everybody_sees_the_log_each_entry_once_and_in_order(two_servers, connect, room, layer, stored):
    servers = two_servers(layer, look=0.5)
    seen = await converse(connect, servers, room)
    assert seen == [await stored("sqlite", room)] * 4
    assert len(seen[0]) == 160


@pytest.mark.postgresql
@pytest.mark.usefixtures("migrated_postgresql")
async def test_so_they_do_on_postgresql(two_servers, connect, room, stored):
    servers = two_servers("delaying", "postgresql", look=0.5)
    assert await converse(connect, servers, room) == [await stored("postgresql", room)] * 4


@pytest.mark.parametrize("layer", ["memory", "none"])
async def test_processes_that_share_no_layer_converge_within_the_look(two_servers, connect, room, layer, stored):
    one, two = two_servers(layer, look=0.3)
    assert await converse(connect, (one, two), room) == [await stored("sqlite", room)] * 4

    ann, bob = await connect(one, room), await connect(two, room)
    await ann.publish(room, "the last word")
    assert await bob.texts(room, last="the last word") == await ann.texts(room, last="the last word")
    # Who says something finds there what the others said. Who is silent has but the look.
    await asyncio.to_thread(two.wait_for, "A look found what no doorbell told")


async def test_doorbells_out_of_order_are_put_in_order_without_reading_the_log(two_servers, connect, room, stored):
    one, two = two_servers("reordering", look=3600, gap_wait=5)
    ann, bob = await connect(one, room), await connect(two, room)
    await meet(ann, bob, room)
    gaps = two.output.count("A gap was read from the log")

    for n in range(300):
        await ann.publish(room, f"{n}")  # One at a time, so that each has a doorbell of its own.

    count = len(ann.said(room))
    assert await bob.texts(room, count=count) == await ann.texts(room, count=count) == await stored("sqlite", room)
    # Each six come last one first. They are held until the others are there, and not until a gap has been waited for.
    assert two.output.count("A gap was read from the log") - gaps <= 5


async def meet(ann, bob, room):
    """Until bob's process listens: from then on what ann says comes by doorbell."""
    for n in range(30):
        await ann.publish(room, f"there? {n}")
        if await bob.catch_up_with(ann, room, patience=1):
            return
    pytest.fail("They never heard each other.")
