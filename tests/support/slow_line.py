"""A proxy for TCP that, while a file exists, lets only the beginning of each answer through.

python -m tests.support.slow_line LISTEN TARGET FILE
"""

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

BEGINNING: Final = 1_000_000
"""Bytes of a connection that come through; manifests are smaller."""
_LOOK_S: Final = 0.05


async def serve(listen: str, target: str, mark: Path) -> None:
    """Pass every connection on."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(*target.split(":"))
        with suppress(OSError):
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer, mark))

    server = await asyncio.start_server(accept, *listen.split(":"))
    await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mark: Path | None = None) -> None:
    passed = 0
    while data := await reader.read(65536):
        if mark is not None and passed > BEGINNING:
            await asyncio.to_thread(_wait_while, mark)
        writer.write(data)
        await writer.drain()
        passed += len(data)
    writer.close()


def _wait_while(mark: Path) -> None:
    while mark.exists():
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
