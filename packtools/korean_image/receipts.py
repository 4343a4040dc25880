"""Receipts (영수증). Amounts are won; every sum on a picture is computed from the lines that are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from packtools.korean_image.pen import GREY, Pen, tilt
from packtools.korean_image.scene import Scene

DESK = "#8c8379"


def won(amount: int) -> str:
    return f"{amount:,}"


def strip(pen: Pen, x0: float, x1: float, top: float, bottom: float, shop: str, lines: Iterable[str]) -> float:
    """A strip of till paper with the shop's name and small lines below it. Returns where the items begin."""
    pen.box(x0, top, x1, bottom, "#fdfdfb")
    middle, y = (x0 + x1) / 2, top + 30
    pen.text(middle, y, shop, 34, "bold", anchor="ma")
    y += 56
    for line in lines:
        pen.text(middle, y, line, 20, "mono", GREY, "ma")
        y += 28
    return y + 14


def listing(
    pen: Pen, x0: float, x1: float, y: float, rows: Sequence[Sequence[str]], places: Sequence[float], size: int = 24
) -> float:
    """Rows of columns: the first is flush left, the others end at `places`. Returns the y below the last."""
    pen.dashes(x0, x1, y)
    y += 14
    for row in rows:
        pen.text(x0, y, row[0], size, "mono")
        for place, cell in zip(places, row[1:], strict=False):
            pen.text(place, y, cell, size, "mono", anchor="ra")
        y += size + 14
    pen.dashes(x0, x1, y + 2)
    return y + 16


# --- receipt-001: the change, below the tear -------------------------------------------------------------

DRINKS = (("보리라테", 4800, 2), ("쑥스콘", 3200, 3), ("유자차", 5300, 1))
DRINKS_SUM = sum(price * n for _, price, n in DRINKS)
REGULAR = DRINKS_SUM // 10
PAID = 30000
ONE_OF_EACH = sum(price for _, price, _ in DRINKS)


def change(cost: int, off: int) -> str:
    """What is handed back for `PAID`; the wrong options leave out the discount, the counts, or both."""
    return f"{won(PAID - cost + off)}원"


def torn(pen: Pen) -> None:
    y = strip(pen, 60, 540, 30, 600, "찻집 느티나무 아래", ("솔내시 이음로 12", "2026-11-24(화) 15:42"))
    rows = [("품목", "단가", "수량", "금액")] + [(n, won(p), str(k), won(p * k)) for n, p, k in DRINKS]
    y = listing(pen, 90, 510, y, rows, (320, 390, 510))
    for label, amount in (("합계", DRINKS_SUM), ("단골 할인(10%)", -REGULAR), ("받은 돈", PAID)):
        pen.text(90, y, label, 26, "mono")
        pen.text(510, y, won(amount), 26, "mono", anchor="ra")
        y += 44
    edge = [(60 + 24 * n, y + 14 + (11 if n % 2 else -3) - n) for n in range(21)]
    pen.draw.polygon([*edge, (541, 620), (59, 620)], fill=DESK)
    tilt(pen, 1.5, DESK)


# --- receipt-002: what carries no tax ----------------------------------------------------------------------

GOODS = (
    ("배추 1포기", 3900, True), ("수세미 3입", 2200, False), ("감자 1kg", 4300, True),
    ("주방 세제", 6600, False), ("고등어 2마리", 7800, True), ("라면 5입", 7700, False),
)  # fmt: skip
EXEMPT = sum(p for _, p, free in GOODS if free)
TAXED = sum(p for _, p, free in GOODS if not free)


def grocery(pen: Pen) -> None:
    y = strip(pen, 50, 590, 24, 736, "새벽별마트", ("솔내시 물레길 7 · 계산대 02", "2026-11-27(금) 18:05"))
    rows = [("품목", "금액")] + [(f"{'*' if free else ' '}{n}", won(p)) for n, p, free in GOODS]
    y = listing(pen, 84, 556, y, rows, (556,), 27)
    for label, amount in (("과세 공급가액", TAXED // 11 * 10), ("부가세", TAXED // 11)):
        pen.text(84, y, label, 22, "mono", GREY)
        pen.text(556, y, won(amount), 22, "mono", GREY, "ra")
        y += 34
    pen.text(84, y + 8, "합계", 34, "bold")
    pen.text(556, y + 8, won(EXEMPT + TAXED), 34, "bold", anchor="ra")
    pen.text(320, y + 76, "* 표시는 면세 물품입니다.", 21, "mono", anchor="ma")
    pen.text(320, y + 110, "찾아 주셔서 고맙습니다.", 21, "mono", GREY, "ma")


# --- receipt-003: something was taken back -------------------------------------------------------------------

PENS = (("만년필", 28000), ("스케치북", 12500), ("색연필 48색", 24000), ("수채 물감", 18500))
TAKEN_BACK = "만년필"


def stationer(pen: Pen) -> None:
    y = strip(pen, 60, 640, 40, 650, "파란지우개 문구", ("고래시 등대길 31", "2026-11-25(수) 11:18"))
    rows = [(name, "1", won(price)) for name, price in PENS]
    rows.append((f"[취소] {TAKEN_BACK}", "-1", won(-dict(PENS)[TAKEN_BACK])))
    y = listing(pen, 96, 604, y, [("품목", "수량", "금액"), *rows], (420, 604), 27)
    total = sum(p for name, p in PENS if name != TAKEN_BACK)
    pen.text(96, y + 10, "합계", 32, "bold")
    pen.text(604, y + 10, won(total), 32, "bold", anchor="ra")
    pen.text(96, y + 66, "카드 결제", 22, "mono", GREY)
    pen.text(604, y + 66, won(total), 22, "mono", GREY, "ra")
    pen.text(350, y + 120, "교환하시려면 7일 안에 영수증을 가지고 오십시오.", 19, "mono", GREY, "ma")
    tilt(pen, -2, "#5d6b74")


def dearest() -> str:
    return max((price, name) for name, price in PENS if name != TAKEN_BACK)[1]


# --- receipt-004: two shops ------------------------------------------------------------------------------------

SHOPS = {
    "가람상회": {"화장지": (2, 13000), "물티슈": (3, 5700), "건전지": (4, 4800), "고무장갑": (1, 2800)},
    "나루상회": {"고무장갑": (2, 5000), "건전지": (2, 2600), "물티슈": (2, 3600), "화장지": (1, 6200)},
}
"""Shop: thing: (how many, what they cost together)."""


def two_shops(pen: Pen) -> None:
    for x0, (shop, lines), day in zip((30, 525), SHOPS.items(), ("2026-11-23(월)", "2026-11-26(목)"), strict=True):
        x1 = x0 + 465
        y = strip(pen, x0, x1, 30 if x0 < 100 else 54, 490 if x0 < 100 else 514, shop, (day,))
        rows = [("품목", "수량", "금액")] + [(name, str(n), won(sum_)) for name, (n, sum_) in lines.items()]
        y = listing(pen, x0 + 34, x1 - 34, y, rows, (x0 + 280, x1 - 34), 28)
        pen.text(x0 + 34, y + 8, "합계", 32, "bold")
        pen.text(x1 - 34, y + 8, won(sum(s for _, s in lines.values())), 32, "bold", anchor="ra")


def cheaper(shop: str, other: str) -> str:
    (name,) = [n for n, (k, cost) in SHOPS[shop].items() if cost / k < SHOPS[other][n][1] / SHOPS[other][n][0]]
    return name


# --- receipt-005: a parking fee -----------------------------------------------------------------------------------

PARKED = 3 * 60 + 35
FREE, BASE_MIN, BASE, STEP_MIN, STEP = 120, 30, 2000, 10, 500


def fee(minutes: int) -> int:
    """The base fee, and a step for each begun ten minutes after it."""
    return BASE + -(-(minutes - BASE_MIN) // STEP_MIN) * STEP


def ticket(pen: Pen) -> None:
    pen.box(24, 24, 936, 536, "#fffef6", "#888888", 10, 2)
    pen.box(24, 24, 936, 104, "#33475b", None, 10)
    pen.text(480, 64, "주차 요금 정산서", 40, "bold", "#ffffff", "mm")
    for n, (label, text) in enumerate((
        ("차량", "12가 ○○○○"), ("들어온 시각", "2026-11-28(토) 10:05"), ("나간 시각", "2026-11-28(토) 13:40"),
        ("할인권", "2시간 무료 1장(머문 시간에서 뺌)"),
    )):  # fmt: skip
        pen.text(64, 132 + n * 48, label, 27, "mono", GREY)
        pen.text(290, 132 + n * 48, text, 27, "mono")
    pen.dashes(60, 900, 338)
    pen.text(64, 358, "[요금표]", 24, "mono", GREY)
    pen.text(64, 396, "처음 30분까지 2,000원", 26, "mono")
    pen.text(64, 436, "그 뒤 10분마다 500원(10분이 안 되어도 10분으로 계산)", 26, "mono")
    pen.text(480, 502, "달무리공원 주차장", 21, "mono", GREY, "mm")


# --- receipt-006: the last day of exchange ---------------------------------------------------------------------------

CLOTHES = (("▼털목도리", 19000), ("  가죽 장갑", 32000), ("▼니트 모자", 15000), ("  겨울 양말", 6000))
BOUGHT = date(2026, 11, 24)
DAYS, DAYS_ON_SALE = 14, 7


def day(when: date) -> str:
    return f"{when.month}월 {when.day}일"


def clothes(pen: Pen) -> None:
    y = strip(pen, 40, 600, 20, 798, "나비잠 옷방", ("구름시 실타래길 5", "2026-11-24(화) 16:30"))
    rows = [("품목", "금액")] + [(name, won(price)) for name, price in CLOTHES]
    y = listing(pen, 76, 564, y, rows, (564,), 28)
    pen.text(76, y + 8, "합계", 34, "bold")
    pen.text(564, y + 8, won(sum(p for _, p in CLOTHES)), 34, "bold", anchor="ra")
    pen.box(70, y + 80, 570, y + 292, None, "#444444", 0, 2)
    for n, text in enumerate((
        "<교환 안내>", "산 날의 다음 날부터 세어 14일 안에", "교환할 수 있습니다.",
        "▼ 표시가 있는 할인 상품은 같은 방법으로", "세어 7일 안에만 교환할 수 있습니다.",
    )):  # fmt: skip
        pen.text(86, y + 96 + n * 38, text, 21, "mono")
    pen.text(320, y + 316, "태그를 떼면 교환할 수 없습니다.", 20, "mono", GREY, "ma")


SCENES = (
    Scene(
        "receipt-001", "compute", "이 영수증대로 계산할 때 손님이 받을 거스름돈은?",
        change(DRINKS_SUM, REGULAR),
        (change(DRINKS_SUM, 0), change(ONE_OF_EACH, 0), change(ONE_OF_EACH, ONE_OF_EACH // 10)), 2,
        "합계 24,500원에서 단골 할인 2,450원을 뺀 22,050원이 낼 돈이고, 30,000원을 냈으므로 거스름돈은 7,950원이다",
        ("24,500", "-2,450", "30,000"), (600, 560), torn,
        "4,800×2 + 3,200×3 + 5,300 = 24,500; 24,500 − 2,450 = 22,050; 30,000 − 22,050 = 7,950", DESK,
    ),
    Scene(
        "receipt-002", "compute", "이 영수증에서 면세 물품의 값만 모두 더하면?",
        f"{won(EXEMPT)}원", ("11,700원", "12,100원", "15,000원"), 4,
        "면세(*) 물품은 배추 3,900원, 감자 4,300원, 고등어 7,800원이며 더하면 16,000원이다",
        ("*배추 1포기", "3,900", "*감자 1kg", "4,300", "*고등어 2마리", "7,800"), (640, 760), grocery,
        "3,900 + 4,300 + 7,800 = 16,000; 과세 2,200 + 6,600 + 7,700 = 16,500 = 15,000 + 1,500; 합계 32,500", "#d5dbe0",
    ),
    Scene(
        "receipt-003", "lookup", "이 영수증에서 손님이 사 간 물건 가운데 값이 가장 비싼 것은?",
        dearest().split()[0], ("만년필", "스케치북", "수채 물감"), 4,
        "만년필(28,000원)은 취소되었으므로 남은 것 가운데 가장 비싼 것은 색연필(24,000원)이다",
        ("[취소] 만년필", "색연필 48색", "24,000"), (700, 690), stationer, paper="#5d6b74",
    ),
    Scene(
        "receipt-004", "compute", "두 영수증을 견주어 한 개의 값을 따질 때, 가람상회가 나루상회보다 싸게 판 물건은?",
        cheaper("가람상회", "나루상회"), ("화장지", "물티슈", "고무장갑"), 3,
        "건전지는 가람상회에서 한 개 1,200원, 나루상회에서 1,300원이고, 나머지 셋은 나루상회가 더 싸다",
        ("건전지", "4,800", "2,600"), (1020, 544), two_shops,
        "4,800÷4 = 1,200 < 2,600÷2 = 1,300; 화장지 6,500 > 6,200; 물티슈 1,900 > 1,800; 고무장갑 2,800 > 2,500", "#a3b1a0",
    ),
    Scene(
        "receipt-005", "compute", "할인권까지 쓸 때 이 차가 낼 주차 요금은?",
        f"{won(fee(PARKED - FREE))}원", ("6,000원", "8,500원", "11,500원"), 1,
        "3시간 35분에서 2시간을 빼면 95분이고, 30분 2,000원에 65분(7구간) 3,500원을 더해 5,500원이다",
        ("2026-11-28(토) 10:05", "2026-11-28(토) 13:40", "2시간 무료 1장(머문 시간에서 뺌)", "처음 30분까지 2,000원"),
        (960, 560), ticket, "215 − 120 = 95분; 95 − 30 = 65분 → 10분 7구간; 2,000 + 7×500 = 5,500", "#9aa3ad",
    ),
    Scene(
        "receipt-006", "infer", "이 영수증으로 털목도리를 교환할 수 있는 마지막 날은?",
        day(BOUGHT + timedelta(DAYS_ON_SALE)), ("11월 30일", "12월 7일", day(BOUGHT + timedelta(DAYS))), 2,
        "털목도리는 할인 상품(▼)이어서 11월 25일부터 세어 7일째인 12월 1일까지 교환할 수 있다",
        ("▼털목도리", "2026-11-24(화) 16:30", "▼ 표시가 있는 할인 상품은 같은 방법으로", "세어 7일 안에만 교환할 수 있습니다."), (640, 822), clothes,
        "2026-11-24 + 7일 = 2026-12-01", "#cfc4b4",
    ),
)  # fmt: skip
