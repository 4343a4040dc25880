"""The sampling policy, stated once; run.json carries it, and it is printed with every matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SAMPLING = {
    "en": "Sampling: temperature 0 and seed + trial where obeyed; one output cap, plus an allowance where a model reasons; "
    "the row's effort, always sent. What a model does not obey is not sent.",
    "ko": "생성 설정: 온도 0과 시드 + 회차(모델이 따르는 경우), 출력 상한은 모두 같고 추론하는 모델에는 여유분을 더함, 추론 강도는 행에 적힌 것을 "
    "늘 보냄. 모델이 따르지 않는 것은 보내지 않음.",
}


def lines(lang: str, manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """What stands below a matrix: the policy, then a short table of what was not sent to which model, from the run.json
    of each run shown: `- sim-a  temperature: n/a · seed: n/a`."""
    dropped: dict[str, set[str]] = {}
    for manifest in manifests:
        for model, told in manifest["models"].items():
            if told.get("dropped"):
                dropped.setdefault(model, set()).update(told["dropped"])
    width = max(map(len, dropped), default=0)
    rows = [f"- {model:<{width}}  " + " · ".join(f"{n}: n/a" for n in sorted(dropped[model])) for model in dropped]
    return [SAMPLING[lang], *rows]
