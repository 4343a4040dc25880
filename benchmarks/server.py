"""A fake OpenAI-compatible server in a process of its own, for `benchmarks.perf`: python -m benchmarks.server

Prints its port, then answers `POST /v1/chat/completions` over kept-alive connections until it is terminated.
`GET /stats` tells what it saw. It is a plain asyncio.Protocol, so that little of the machine goes to the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
import zlib
from dataclasses import asdict, dataclass

ANSWER_BYTES = 400
_REASONING = (
    "문제에 나온 말은 나이 드신 분들이 지금도 자주 쓰는 지역 말입니다. 앞뒤 문맥을 보면 말하는 사람이 기대에 미치지 "
    "못하여 실망하였다는 느낌을 나타내고 있으며, 다른 보기는 소리가 비슷할 뿐 뜻이 서로 통하지 않습니다. 그러므로 문장 "
    "흐름에 가장 어울리는 것을 골라 답으로 적겠습니다"
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def answer(letter: str) -> str:
    """An explanation of 400 bytes whose last line is `정답: X`."""
    last = f"\n정답: {letter}"
    filler = ANSWER_BYTES - len((_REASONING + last).encode())
    return _REASONING + "." * filler + last


def _response(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _completion(letter: str) -> bytes:
    message = {"role": "assistant", "content": answer(letter)}
    usage = {"prompt_tokens": 150, "completion_tokens": 170, "total_tokens": 320}
    data = {
        "id": f"chatcmpl-sim-{letter}", "object": "chat.completion", "created": 0, "model": "sim-a-served",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
    }  # fmt: skip
    return _response(json.dumps(data, ensure_ascii=False).encode())


COMPLETIONS = [_completion(letter) for letter in "ABCD"]


@dataclass(slots=True)
class Stats:
    """What the server saw. A request is in flight from its last byte read to its answer's first byte written, so
    without latency there is never more than one. `first_ns` and `last_ns` (of the requests) are by time.time_ns."""

    requests: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    connections: int = 0
    body_bytes: int = 0
    first_ns: int = 0
    last_ns: int = 0


class Chat(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, stats: Stats, latency_s: float) -> None:
        self._stats = stats
        self._latency_s = latency_s
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._stats.connections += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head_end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:head_end]
            length = _LENGTH.search(head)
            end = head_end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < end:
                return
            body, self._buffer = self._buffer[head_end + 4 : end], self._buffer[end:]
            self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST /v1/chat/completions "):
            self._complete(body)
        elif head.startswith(b"GET /stats "):
            self._write(_response(json.dumps(asdict(self._stats)).encode()))
        else:
            self._write(_response(b'{"error": {"message": "no such path"}}', "404 Not Found"))

    def _complete(self, body: bytes) -> None:
        stats = self._stats
        stats.last_ns = time.time_ns()
        stats.first_ns = stats.first_ns or stats.last_ns
        stats.requests += 1
        stats.body_bytes += len(body)
        stats.in_flight += 1
        stats.most_in_flight = max(stats.most_in_flight, stats.in_flight)
        reply = COMPLETIONS[zlib.crc32(body) % len(COMPLETIONS)]
        if self._latency_s:
            asyncio.get_running_loop().call_later(self._latency_s, self._reply, reply)
        else:
            self._reply(reply)

    def _reply(self, reply: bytes) -> None:
        self._stats.in_flight -= 1
        self._write(reply)

    def _write(self, data: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)


async def serve(port: int, latency_s: float) -> None:
    """Listen on 127.0.0.1 and say on which port, until cancelled."""
    stats = Stats()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Chat(stats, latency_s), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="A fake OpenAI-compatible server; prints its port.")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="time from a request to its answer")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
