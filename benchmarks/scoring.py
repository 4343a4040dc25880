"""How fast answers are read and scored, one thread: python -m benchmarks.scoring

CPU time, the best of several rounds; chrF as a ratio to sacrebleu's own call, rounds interleaved. Enforces nothing.
"""

from __future__ import annotations

import json
import time
import timeit
from collections.abc import Callable
from pathlib import Path

from sacrebleu.metrics.chrf import CHRF

from lmmbench.scorers.chrf import chrf
from lmmbench.scorers.extract import extract_choice

CASES = Path(__file__).parent.parent / "tests" / "data" / "answer_formats.jsonl"
OPTIONS = ("부추", "상추", "시금치", "미나리")
THOUGHT = (
    "보기를 하나씩 검토해 보겠습니다. '부루'는 제주에서 쓰는 말로, 쌈을 싸 먹는 잎채소를 가리킵니다.\n\n1. **부추**: 경상도에서는 '정구지'라고 합니다.\n"
    "2. **상추**: 제주에서 '부루'라고 합니다.\n3. **시금치**: 방언형이 다릅니다.\n4. **미나리**: 해당하지 않습니다.\n\n"
)
SHAPES = {
    "정답: B": "정답: B",
    "last line": THOUGHT + "정답: B",
    "closing sentence": THOUGHT + "따라서 정답은 **B. 상추**입니다.",
    "first line, reasons after": "정답: B\n\n해설: " + THOUGHT,
    "no marker": THOUGHT + "그래서 저는 B라고 생각합니다.",
}
SENTENCES = (
    "정부는 내년부터 전국 초등학교에서 무상 급식을 확대하기로 했다.",
    "내년부터 정부가 전국 초등학교의 무상급식을 확대한다.",
)


def best(act: Callable[[], object], times: int, rounds: int = 7) -> float:
    """Seconds of CPU a call, in the best round."""
    return min(timeit.repeat(act, number=times, repeat=rounds, timer=time.process_time)) / times


def main() -> None:
    for name, answer in SHAPES.items():
        cost = best(lambda answer=answer: extract_choice(answer, OPTIONS), 200)  # type: ignore[misc]
        print(f"read {name:26} {len(answer):4} characters {cost * 1e6:8.1f} µs {1 / cost:10,.0f}/s")
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    cost = best(lambda: [extract_choice(c["raw"], c["options"]) for c in cases], 1) / len(cases)
    print(f"read {'answer_formats.jsonl':26} {len(cases):4} cases      {cost * 1e6:8.1f} µs {1 / cost:10,.0f}/s")
    text, reference = SENTENCES
    theirs = CHRF()
    pairs = [
        (best(lambda: theirs.sentence_score(text, [reference]), 100, 1), best(lambda: chrf(text, [reference]), 100, 1))
        for _ in range(15)
    ]
    raw, ours = (min(side) for side in zip(*pairs, strict=True))
    print(f"chrF: {1 / ours:,.0f}/s, {raw / ours:.2f} times sacrebleu's own speed")


if __name__ == "__main__":
    main()
