"""What leaves this machine is what docs/privacy.md says, field by field, and nothing else of a pack or a machine does."""

from __future__ import annotations

import json
import platform
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lmmbench import config
from lmmbench.canon import sha256
from lmmbench.providers import DIALECTS
from tests.fake_server import Exchange, FakeServer
from tests.kit import ROOT, item, lmmbench, needs, providers_yaml, write_pack

PAGE = ROOT / "docs" / "privacy.md"
KEY = "sk-sim-private-0123456789"
CANARY = "canary:6f1d2c1e-0000-4000-8000-00000000c0de"
WAYS = {(api, way): api for api in DIALECTS for way in ("plain", "stream")} | {
    (api, "sdk"): api for api in config.SDK_APIS
}


def part(text: str, heading: str) -> str:
    """The table below a heading."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def asked(home: Path, api: str, way: str) -> tuple[list[Exchange], Path]:
    """What a server received of a run with two marked questions, one of them with a picture."""
    png = next((ROOT / "tasks" / "korean-image").rglob("*.png")).read_bytes()
    items = []
    for n in (1, 2):
        marked = item(
            f"item-mark-{n}", options=(f"option-mark-{n}a", f"option-mark-{n}b"), stratum="stratum-mark", cluster_id="cluster-mark",
            params={"markers": ["params-mark"]}, tags=[CANARY, "tag-mark"],
            fields={"question": f"question-mark-{n}", "source": "field-mark that no prompt shows"},
        )  # fmt: skip
        marked["provenance"] |= {"made_by": "provenance-mark", "claim": "claim-mark", "checks": [{"by": "check-mark"}]}
        marked["provenance"]["evidence"] = [{"kind": "recall", "ref": "ref-mark", "quote": "quote-mark"}]
        items.append(marked)
    items[1] |= {"options": [], "type": "open", "targets": ["gold-mark"], "media": [{"path": "file-mark.png", "mime": "image/png", "sha256": sha256(png)}]}  # fmt: skip
    folder = write_pack(home / "tasks" / "pack-mark", items, title="title-mark", source="source-mark")
    (folder / "file-mark.png").write_bytes(png)
    with FakeServer() as server:
        rows = {"row-mark": {"name": "name-mark", "vendor": "vendor-mark", "family": "family-mark", "note": "note-mark", "inputs": ["text", "image"]}}  # fmt: skip
        transport: dict[str, Any] = {"transport": "sdk"} if way == "sdk" else {}
        providers_yaml(home / "providers.yaml", server.url, rows, api=api, key_env="SIM_KEY", **transport)
        options = ["--stream"] if way == "stream" else []
        done = lmmbench(
            "run", "--tasks", "pack-mark", "--run-id", "run-mark", "--allow-unknown-cost", "--option-order", "given", *options,
            cwd=home, env={"SIM_KEY": KEY, "SIM_OTHER": "env-mark"},
        )  # fmt: skip
        assert done.returncode in (0, 3, 4), done.stderr
        return list(server.history), home


def paths(value: Any, at: str = "") -> Iterator[str]:
    """Where values stand in JSON: `messages[].content`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from paths(inner, f"{at}[]")
    else:
        yield at


def line(api: str, way: str, history: list[Exchange]) -> str:
    """A dialect's row of the page."""
    body = sorted({path for x in history for path in paths(x.body)})
    headers = sorted({name for x in history for name in x.headers} - {"host", "content-length", "connection"})
    shown = [", ".join(f"`{name}`" for name in names) for names in (headers, body)]
    return f"| {api} | {way} | {shown[0]} | {shown[1]} |"


@pytest.mark.parametrize(
    ("api", "way"), [pytest.param(*key, marks=needs("openai", "google.genai", install=config.INSTALL_SDK)) if key[1] == "sdk" else key for key in WAYS]
)  # fmt: skip
def test_what_is_sent_is_what_the_page_says(tmp_path: Path, api: str, way: str) -> None:
    """Every header and every field of a body, in every dialect, plain and streamed, and through a vendor's client; and
    what the page says never leaves is in no byte that was received."""
    history, home = asked(tmp_path, api, way)
    assert len({x.question for x in history}) == 2
    assert line(api, way, history) in PAGE.read_text(encoding="utf-8").splitlines(), (
        f"docs/privacy.md lacks: {line(api, way, history)}"
    )
    for x in history:
        received = json.dumps([x.path, x.headers, x.body], ensure_ascii=False)
        number = "1" if "question-mark-1" in received else "2"
        marks = set(re.findall(r"[a-z]+-mark(?:-\d\w?)?(?:\.png)?", received))
        own = {f"question-mark-{number}", "name-mark"} | (
            {"option-mark-1a", "option-mark-1b"} if number == "1" else set()
        )
        assert marks == own, "nothing but the question, its options and the model's own name"
        for never in (
            CANARY,
            "env-mark",
            socket.gethostname(),
            str(home),
            str(Path.home()),
            platform.release(),
            platform.python_version(),
        ):
            assert never not in received or len(never) < 5
        assert KEY not in json.dumps([x.path, x.body])


def hosts() -> Iterator[str]:
    """The page's row for each endpoint that is shipped."""
    cfg = config.load(ROOT / "providers.yaml")
    for name, endpoint in cfg.endpoints.items():
        vendors = sorted({m.vendor for m in cfg.models.values() if m.endpoint == name})
        if not config.is_remote(endpoint):
            yield f"| {name} | nobody: it runs in this process | {endpoint.api} | – | {', '.join(vendors) or '–'} |"
            continue
        host = urlsplit(endpoint.base_url).hostname if endpoint.base_url else f"what `{endpoint.base_url_env}` says"
        key = f"`{endpoint.key_env}`" if endpoint.key_env else "none"
        yield f"| {name} | {host} | {endpoint.api} | {key} | {', '.join(vendors) or '–'} |"


def test_every_endpoint_is_on_the_page() -> None:
    """Vendor by vendor: who is asked at which host with which key, as providers.yaml has it, and nobody else."""
    rows = [
        text for text in part(PAGE.read_text(encoding="utf-8"), "Vendor by vendor").splitlines() if text.startswith("|")
    ]
    expected = list(hosts())
    assert rows[2:] == expected, "docs/privacy.md should have:\n" + "\n".join(expected)
