"""A TCP relay that makes every exchange cost as much as over a distant link."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def delaying_relay(port: int, round_trip: float, *, host: str = "127.0.0.1") -> Iterator[int]:
    """Relays a free port of ``host`` to ``port`` and gives the free one.

    Every chunk is held back for half of ``round_trip`` (seconds) in each direction. Connecting through a relay
    takes no time by itself, so the first chunk of a connection waits for one ``round_trip`` more.
    """
    loop = asyncio.new_event_loop()
    started = threading.Event()
    ports: list[int] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: float) -> None:
        """Delays without slowing down: chunks on their way overlap, and keep their order."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while True:
                due, chunk = await chunks.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not chunk:
                    with suppress(OSError, RuntimeError):
                        writer.write_eof()
                    return
                with suppress(OSError):
                    writer.write(chunk)
                    await writer.drain()

        writing = loop.create_task(write())
        earliest = loop.time() + first
        with suppress(OSError):
            while chunk := await reader.read(65536):
                chunks.put_nowait((max(earliest, loop.time() + round_trip / 2), chunk))
        chunks.put_nowait((loop.time() + round_trip / 2, b""))
        await writing

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        with suppress(asyncio.CancelledError):  # the relay is being closed
            await asyncio.gather(pump(reader, back, round_trip * 1.5), pump(there, writer, 0.0))
        for end in (writer, back):
            end.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, host, 0)
        ports.append(server.sockets[0].getsockname()[1])
        started.set()
        async with server:
            await server.serve_forever()

    def run() -> None:
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)
        others = asyncio.all_tasks(loop)
        for task in others:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
        loop.close()

    serving = loop.create_task(main())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait(5)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(5)
