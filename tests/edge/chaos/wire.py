"""A wire between two programs on loopback, and what happens to wires."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

_LOOPBACK = "127.0.0.1"
_CHUNK = 65536

WHOLE, CUT, SILENT, SLOW, TORN = "whole", "cut", "silent", "slow", "torn"


class Wire:
    """Forwards `port` to `target_port`, or does what was last asked of it:

    - `cut`: all connections end, new ones are refused.
    - `silent`: half open; everything is accepted and nothing delivered, until the wire changes and they are reset.
    - `slow`: each packet arrives `delay_s` late.
    - `torn`: the next packet is delivered by half, then its connection is reset; the wire is whole again after it.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._mode = WHOLE
        self._delay_s = 0.0
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._silenced: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server = self._loop.run_until_complete(
            asyncio.start_server(self._connected, _LOOPBACK, 0)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"wire to {target_port}")
        self._thread.start()

    def become(self, mode: str, delay_s: float = 0.0) -> None:
        """From any thread; done when it returns."""
        self._do(lambda: self._become(mode, delay_s))

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        self._become(CUT, 0.0)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    def _do(self, call: Callable[[], Any]) -> None:
        done = threading.Event()

        def made() -> None:
            try:
                call()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(made)
        assert done.wait(10)

    def _become(self, mode: str, delay_s: float) -> None:
        self._mode, self._delay_s = mode, delay_s
        if mode == CUT:
            for pair in list(self._pairs):
                self._reset(pair)
        for pair in list(self._silenced):
            self._reset(pair)
        self._silenced = set(self._pairs) if mode == SILENT else set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == CUT:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(_LOOPBACK, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, far_writer)
        self._pairs.add(pair)
        if self._mode == SILENT:
            self._silenced.add(pair)
        try:
            await asyncio.gather(
                self._forward(reader, far_writer, pair), self._forward(far_reader, writer, pair)
            )
        finally:
            self._reset(pair)

    async def _forward(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if pair in self._silenced:
                    continue
                if self._mode == SLOW:
                    await asyncio.sleep(self._delay_s)
                elif self._mode == TORN:
                    self._mode = WHOLE
                    sink.write(data[: len(data) // 2])
                    await sink.drain()
                    break
                sink.write(data)
                await sink.drain()
        if pair not in self._silenced:
            self._reset(pair)

    def _reset(self, pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self._pairs.discard(pair)
        self._silenced.discard(pair)
        for writer in pair:
            with contextlib.suppress(OSError):
                # With no time to linger, an abort is a reset, as from a router that lost its memory.
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            writer.transport.abort()
