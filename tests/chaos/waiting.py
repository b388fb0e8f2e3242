"""How the run waits: for what blocks, and for what tells of no event."""

import asyncio


async def blocking(function, *arguments):
    """In a thread. Who is cancelled waits for its end all the same: two threads must not end one process."""
    work = asyncio.create_task(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


async def until(holds, every: float = 0.05) -> None:
    """Look again and again: what is waited for are dozens of records that sockets fill."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(every)


async def within(seconds: float, holds, every: float = 0.05) -> bool:
    """Whether it came to hold in time."""
    try:
        async with asyncio.timeout(seconds):
            await until(holds, every)
    except TimeoutError:
        return False
    return True
