"""Datasets of a Hugging Face hub, read over its HTTP API: `/api/datasets/ID/revision/REV` names the commit and its files,
`/datasets/ID/resolve/COMMIT/PATH` is a file (huggingface_hub's `dataset_info` and `hf_hub_url`, read 2026-11-22)."""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, urlsplit

from lmmbench.faults import UsageError
from lmmbench.net.hosts import is_loopback

HUB = "https://huggingface.co"
SILENCE_S = 60.0
"""How long the hub may say nothing."""
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
    if not _trusted(url):
        raise UsageError(f"HF_ENDPOINT is {url}, which is not https; correct it, or unset it for {HUB}")
    return url


def fetch(dataset: str, revision: str, patterns: Sequence[str]) -> Snapshot:
    """The files of a dataset that match the patterns (`*` also matches slashes). Raises UsageError."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", dataset, re.ASCII):
        raise UsageError(f"{dataset!r} is no dataset id; write it as owner/name")
    base = address()
    listing = _get(f"{base}/api/datasets/{dataset}/revision/{quote(revision, safe='')}", dataset)
    commit, paths = _listed(listing, dataset)
    wanted = sorted(p for p in paths if any(fnmatchcase(p, pattern) for pattern in patterns))
    files = {p: _get(f"{base}/datasets/{dataset}/resolve/{commit}/{quote(p)}", dataset) for p in wanted}
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


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Followed, as a hub keeps its files elsewhere, but to https or this machine only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not _trusted(newurl):
            raise urllib.error.URLError("it was redirected to an address that is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _trusted(url: str) -> bool:
    return urlsplit(url).scheme == "https" or is_loopback(urlsplit(url).hostname or "")


def _get(url: str, dataset: str) -> bytes:
    """A public file, without a key. Raises UsageError."""
    from lmmbench.net.http import proxy_of, system_certificates

    proxy = proxy_of(url)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {}),
        urllib.request.HTTPSHandler(context=system_certificates()),
        _Redirects,
    )
    try:
        with opener.open(url, timeout=SILENCE_S) as reply:
            data: bytes = reply.read(MOST + 1)
    except urllib.error.HTTPError as e:
        if e.code in (401, 403):
            raise UsageError(
                f"the hub does not hand out {dataset} without a login; fetch its files yourself and name their folder with --from"
            ) from None
        raise UsageError(f"{url}: HTTP {e.code}; check the dataset's id and --revision") from None
    except (OSError, http.client.HTTPException) as e:
        reason = getattr(e, "reason", None) or e
        raise UsageError(f"{url}: {reason}; try again, or name a folder of your own with --from", exit_code=4) from None
    if len(data) > MOST:
        raise UsageError(f"{url}: it is larger than {MOST} bytes; name a folder of your own with --from")
    return data
