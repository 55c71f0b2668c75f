"""How many bytes the Engine answers with."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from aiohttp import ClientResponse


@contextmanager
def counted_bytes() -> Iterator[Counter[str]]:
    """Count the bytes of whole answers to this process by kind, such as `volumes`; all calls are real."""
    count, read = Counter[str](), ClientResponse.read

    async def counting(response: ClientResponse) -> bytes:
        answer = await read(response)
        count[response.url.parts[2]] += len(answer)
        return answer

    with patch.object(ClientResponse, "read", counting):
        yield count
