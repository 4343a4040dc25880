"""Datasets of a Hugging Face hub, read over its HTTP API: `/api/datasets/ID/revision/REV` names the commit and its files,
`/datasets/ID/resolve/COMMIT/PATH` is a file (huggingface_hub's `dataset_info` and `hf_hub_url`, read 2026-11-22)."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from lmmbench.faults import Fault, UsageError
from lmmbench.net.hosts import is_loopback

if TYPE_CHECKING:
    from lmmbench.net.http import Sender

HUB = "https://huggingface.co"
DEADLINE_S = 600.0
MOST = 1 << 30
"""Bytes of one file."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a revision is: the commit that it names, and the files that were asked for, by path."""

    commit: str
    files: dict[str, bytes]


def address() -> str:
    """The hub: HF_ENDPOINT (a mirror), else the public one. Raises UsageError where it is neither https nor this machine."""
    url = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    if urlsplit(url).scheme != "https" and not is_loopback(urlsplit(url).hostname or ""):
        raise UsageError(f"HF_ENDPOINT is {url}, which is not https; correct it, or unset it for {HUB}")
    return url


def fetch(dataset: str, revision: str, patterns: Sequence[str]) -> Snapshot:
    """The files of a dataset that match the patterns (`*` also matches slashes). Raises UsageError."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", dataset, re.ASCII):
        raise UsageError(f"{dataset!r} is no dataset id; write it as owner/name")
    return asyncio.run(_fetch(dataset, revision, patterns))


async def _fetch(dataset: str, revision: str, patterns: Sequence[str]) -> Snapshot:
    from lmmbench.net.http import Sender

    base = address()
    async with Sender() as sender:
        listing = await _get(sender, f"{base}/api/datasets/{dataset}/revision/{quote(revision, safe='')}", dataset)
        commit, paths = _listed(listing, dataset)
        wanted = sorted(p for p in paths if any(fnmatchcase(p, pattern) for pattern in patterns))
        files = {
            p: await _get(sender, f"{base}/datasets/{dataset}/resolve/{commit}/{quote(p)}", dataset) for p in wanted
        }
    for pattern in patterns:
        if not any(fnmatchcase(p, pattern) for p in wanted):
            raise UsageError(
                f"{dataset} at {commit[:12]} has no file {pattern}; name another --revision, or mend the card"
            )
    return Snapshot(commit, files)


def _listed(listing: bytes, dataset: str) -> tuple[str, list[str]]:
    try:
        told = json.loads(listing)
        commit, paths = str(told["sha"]), [str(s["rfilename"]) for s in told["siblings"]]
    except (ValueError, KeyError, TypeError):
        commit, paths = "", []
    if not re.fullmatch("[0-9a-f]{40}", commit):
        raise UsageError(f"the hub names no commit of {dataset}; check HF_ENDPOINT")
    return commit, paths


async def _get(sender: Sender, url: str, dataset: str) -> bytes:
    out = io.BytesIO()
    try:
        status = await sender.get(url, out, DEADLINE_S, MOST)
    except Fault as fault:
        raise UsageError(
            f"{url}: {fault.message}; try again, or name a folder of your own with --from", exit_code=4
        ) from None
    if status in (401, 403):
        raise UsageError(
            f"the hub does not hand out {dataset} without a login; fetch its files yourself and name their folder with --from"
        )
    if status != 200:
        raise UsageError(f"{url}: HTTP {status}; check the dataset's id and --revision")
    return out.getvalue()
