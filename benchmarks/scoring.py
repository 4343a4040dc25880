"""How fast answers are read and scored, one thread: python -m benchmarks.scoring

CPU time, the best of several rounds; chrF as a ratio to sacrebleu's own call. First the reading by itself, then whole
journals to parquet, with answers of 400 bytes. Enforces nothing.
"""

from __future__ import annotations

import json
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from sacrebleu.metrics.chrf import CHRF

from benchmarks.perf import write_pack
from lmmbench import bench, journal, packs, results, runner
from lmmbench.canon import sha256
from lmmbench.plan import PlannedModel
from lmmbench.scorers.chrf import chrf
from lmmbench.scorers.extract import extract_choice
from lmmbench.types import Endpoint, Item, Model, Reply, Request, Usage

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
ANSWERS = 4000
SENTENCES = (
    "정부는 내년부터 전국 초등학교에서 무상 급식을 확대하기로 했다.",
    "내년부터 정부가 전국 초등학교의 무상급식을 확대한다.",
)
PARAGRAPH = (
    "비용은 국가와 지방자치단체가 절반씩 나누어 내며, 조리 인력도 학교마다 한 명 이상 늘어난다. 다만 일부 교육청은 예산이 "
    "모자란다며 시행을 한 해 미루어 달라고 요청하였고, 교육부는 이달 안에 답을 내놓기로 하였다."
)


def best(act: Callable[[], object], times: int, rounds: int = 7) -> float:
    """Seconds of CPU a call, in the best round."""
    return min(timeit.repeat(act, number=times, repeat=rounds, timer=time.process_time)) / times


# --- a whole journal to parquet -----------------------------------------------------------------------


def journal_to_parquet(folder: Path, pack: packs.Pack, say: Callable[[Item, int], str]) -> float:
    """Seconds of CPU an answer to read the journal, grade it and write the rows, the matrix not counted; the best of
    five rounds. `say`: an item's answer, from the item and its number."""
    model = Model("sim", "sim-a", "simulated", "simulated", "reference")
    planned = PlannedModel(model, Endpoint("openai-chat", "http://127.0.0.1:1"))
    run_plan = bench.make_plan(bench.RunOptions(pack.id), "scoring", {"sim-a": planned}, [pack])
    (folder / "journal").mkdir(parents=True)
    results.publish_items(folder, run_plan, [pack])
    with (folder / "journal" / "main.jsonl").open("wb") as f:
        for number, item in enumerate(pack.items):
            f.writelines(map(journal.line_of, _records(packs.request(pack, item, 0, seed=0), say(item, number))))

    def act() -> None:
        results.publish_models(folder, run_plan, results.Asked(folder, run_plan), results.index(folder, run_plan))

    return best(act, 1, 5) / len(pack.items)


def _records(asked: Request, answer: str) -> Iterator[journal.Record]:
    """What the runner records of one answer."""
    key, now = (
        {"model": "sim-a", "pack": asked.pack, "item": asked.item.id, "trial": 0},
        "2026-11-22T00:00:00.000000+00:00",
    )
    sent = {"max_tokens": 128, "temperature": 0.0, "seed": 0}
    reply = Reply(answer, "stop", "stop", usage=Usage(150, None, 170), served_model="sim-a-served", sent=sent, request_sha=sha256(asked.user))  # fmt: skip
    yield {"t": "intent", **key, "at": now, "worst": 0.0}
    yield {**runner._done(key, asked, reply), "latency_s": 0.05, "queue_s": 0.01, "started_at": now}


def closed(folder: Path) -> packs.Pack:
    """Closed questions of 300 bytes."""
    folder.mkdir()
    return packs.load(write_pack(folder, ANSWERS))


def opened(folder: Path) -> packs.Pack:
    """The same as open questions that chrF grades, with references of 400 bytes."""
    pack = write_pack(folder, ANSWERS)
    items = [json.loads(line) for line in (pack / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    for number, item in enumerate(items):
        item |= {"options": [], "targets": [f"{number}. {SENTENCES[1]} {PARAGRAPH}"]}
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    (pack / "items.jsonl").write_text(lines, encoding="utf-8", newline="\n")
    card = json.loads((pack / "card.yaml").read_text(encoding="utf-8"))
    card |= {"items_sha256": sha256(lines), "chance": 0, "prompt": {"user": "{{question}}"}, "scorer": {"name": "chrf"}}
    (pack / "card.yaml").write_text(json.dumps(card, ensure_ascii=False), encoding="utf-8")
    return packs.load(pack)


def whole(folder: Path) -> None:
    """The rows of journal to parquet."""
    bench._collect_less()
    pack = closed(folder / "closed")

    def end(item: Item) -> str:
        return f"정답: {'ABCD'[int(item.id[1:]) % 4]}"

    mixes: dict[str, Callable[[Item, int], str]] = {
        "the last line is `정답: B`": lambda item, n: THOUGHT + end(item),
        "one in ten is prose": lambda item, n: (
            THOUGHT + ("그래서 저는 B라고 생각합니다." if n % 10 == 0 else end(item))
        ),
        "all are prose": lambda item, n: THOUGHT + f"{n}: 그래서 저는 B라고 생각합니다.",
        "prose for all the rules": lambda item, n: THOUGHT + f"{n}: 그렇게 보면 B가 가장 알맞습니다.",
    }
    for at, (name, say) in enumerate(mixes.items()):
        cost = journal_to_parquet(folder / str(at), pack, say)
        print(f"choice, journal to parquet, {name:28} {cost * 1e6:8.1f} µs {1 / cost:10,.0f}/s")
    pack = opened(folder)
    said = {
        item.id: (f"{n}. {SENTENCES[0]} {PARAGRAPH[::-1]}", list(item.targets)) for n, item in enumerate(pack.items)
    }
    cost = journal_to_parquet(folder / "chrf", pack, lambda item, n: said[item.id][0])
    theirs = CHRF()
    raw = best(lambda: [theirs.sentence_score(text, targets) for text, targets in said.values()], 1, 3) / len(said)
    print(
        f"chrF, journal to parquet, answers of 400 bytes: {1 / cost:,.0f}/s, {raw / cost:.2f} times sacrebleu's own speed"
    )


def main() -> None:
    for name, answer in SHAPES.items():
        cost = best(lambda answer=answer: extract_choice(answer, OPTIONS), 200)  # type: ignore[misc]
        print(f"read {name:26} {len(answer):4} characters {cost * 1e6:8.1f} µs {1 / cost:10,.0f}/s")
    for shape in ("A. ", "A\n"):
        short, long = (best(partial(extract_choice, shape * (n // len(shape)), OPTIONS), 1) for n in (4_000, 16_000))
        print(f"read 16,000 characters of {shape!r:6} {long * 1e3:8.1f} ms, {long / short:.1f} times 4,000 (linear: 4)")
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
    with tempfile.TemporaryDirectory(prefix="lmmbench-scoring-") as name:
        whole(Path(name))


if __name__ == "__main__":
    main()
