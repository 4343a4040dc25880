"""Signs and notices (표지판·안내문)."""

from __future__ import annotations

from packtools.korean_image.pen import Pen, tilt
from packtools.korean_image.scene import Scene

# --- sign-001: where a visitor may park ----------------------------------------------------------------

ZONES = (
    ("구역", "평일", "토요일", "일요일·공휴일"),
    ("해오름 구역", "종일 가능", "09:00~14:00", "종일 불가"),
    ("달맞이 구역", "18:00~24:00", "14:00~20:00", "09:00~13:00"),
    ("솔바람 구역", "09:00~18:00", "종일 가능", "종일 가능"),
    ("물안개 구역", "종일 불가", "18:00~24:00", "종일 가능"),
)
MARKET = "※ 솔바람 구역은 매월 둘째·넷째 토요일에 나눔 장터가 열려 주차할 수 없습니다."


def parking(pen: Pen) -> None:
    pen.box(20, 20, 940, 600, "#ffffff", "#1d4f91", 18, 6)
    pen.box(20, 20, 940, 130, "#1d4f91", None, 18)
    pen.text(480, 75, "외부 차량 주차 안내", 52, "bold", "#ffffff", "mm")
    pen.text(480, 165, "아래 시간에만 주차할 수 있습니다.", 26, anchor="mm")
    pen.table((50, 260, 470, 690, 910), (200, 260, 320, 380, 440, 500), ZONES, 25, head="#dbe6f4", edge="#4a6a94")
    pen.text(480, 532, MARKET, 21, "gothic", "#b3261e", "mm")
    pen.text(480, 572, "이음마을 주민자치회", 20, "gothic", "#555555", "mm")


# --- sign-002: which room of the library is open --------------------------------------------------------

ROOMS = (
    ("어린이자료실", "12. 7.(월)~12. 11.(금)", "서가 정비"),
    ("종합자료실", "12. 9.(수) 13:00~18:00", "냉난방기 점검"),
    ("디지털열람실", "12. 8.(화)~12. 10.(목)", "기기 교체"),
    ("향토자료실", "12. 14.(월)~12. 18.(금)", "장서 점검"),
)


def library(pen: Pen) -> None:
    pen.box(24, 24, 676, 876, None, "#3c5a3c", 0, 3)
    pen.box(34, 34, 666, 866, None, "#3c5a3c", 0, 1)
    pen.text(350, 80, "자료실별 휴실 안내", 46, "serif", "#24422a", "ma")
    pen.text(350, 150, "2026년 12월", 26, "gothic", anchor="ma")
    pen.text(350, 210, "늘 저희 도서관을 찾아 주셔서 고맙습니다.", 23, anchor="ma")
    pen.text(350, 244, "아래와 같이 자료실 문을 닫으니 이용에 참고해 주십시오.", 23, anchor="ma")
    for n, (room, when, why) in enumerate(ROOMS):
        y = 304 + n * 102
        pen.box(70, y, 630, y + 88, "#eef4ec", None, 10)
        pen.text(92, y + 10, room, 27, "bold")
        pen.text(610, y + 14, why, 21, "gothic", "#555555", "ra")
        pen.text(92, y + 47, when, 25, "gothic", "#24422a")
    pen.text(70, 730, "· 매주 월요일은 모든 자료실이 쉽니다.", 21)
    pen.text(70, 762, "· 쉬는 동안에도 무인 반납함은 쓰실 수 있습니다.", 21)
    pen.text(350, 812, "다솜샘도서관장", 28, "serif", anchor="ma")


# --- sign-003: the lift's inspection, with two times exchanged ------------------------------------------

LIFTS = {"101동": "09:00~10:30", "102동": "10:30~12:00", "103동": "13:30~15:00", "104동": "15:00~16:30"}


def lift(pen: Pen) -> None:
    pen.box(40, 36, 720, 912, "#ffffff", "#c9c4b4", 0, 2)
    pen.text(380, 80, "승강기 정기 점검 안내", 48, "bold", anchor="ma")
    pen.line(90, 152, 670, 152, width=3)
    pen.text(90, 180, "입주민 여러분, 안녕하십니까.", 25)
    pen.text(90, 216, "승강기를 안전하게 쓰기 위한 정기 점검을", 25)
    pen.text(90, 252, "다음과 같이 실시합니다.", 25)
    pen.text(90, 310, "· 날짜: 2026년 12월 3일(목)", 27, "bold")
    rows = [("동", "점검 시간"), *LIFTS.items()]
    pen.table((90, 300, 670), [362 + 62 * n for n in range(6)], rows, 28)
    pen.box(84, 700, 676, 796, "#fff2a8", "#d8b400", 4, 2)
    pen.text(380, 724, "[바뀐 내용] 103동에 이사가 있어", 24, "bold", anchor="ma")
    pen.text(380, 757, "103동과 104동의 점검 시간을 서로 바꿉니다.", 24, "bold", anchor="ma")
    pen.text(380, 826, "점검 중에는 계단을 이용해 주시기 바랍니다.", 21, "gothic", "#555555", "ma")
    pen.text(380, 862, "두루봄아파트 관리사무소", 26, "serif", anchor="ma")
    tilt(pen, -1.2, "#d9d3c3")


# --- sign-004: a signpost on a trail ---------------------------------------------------------------------

BOARDS = (("right", "은빛쉼터", 0.4), ("left", "꽃샘쉼터", 1.6), ("right", "솔향쉼터", 2.1), ("left", "도란쉼터", 0.7))


def signpost(pen: Pen) -> None:
    pen.box(0, 520, 1000, 640, "#b9cf9a")
    pen.box(478, 40, 522, 600, "#6d4a2c", "#4a3019", 4, 3)
    for n, (side, name, km) in enumerate(BOARDS):
        y = 70 + n * 108
        tip, back = (60, 640) if side == "left" else (940, 360)
        neck = tip + (60 if side == "left" else -60)
        shape = [(tip, y + 42), (neck, y), (back, y), (back, y + 84), (neck, y + 84)]
        pen.draw.polygon(shape, fill="#8a5f38", outline="#4a3019", width=3)
        words = (f"{name}", f"{km} km")
        xs = (neck + 24, back - 24) if side == "left" else (back + 24, neck - 24)
        pen.text(xs[0], y + 42, words[0 if side == "left" else 1], 40, "bold", "#fff7e6", "lm")
        pen.text(xs[1], y + 42, words[1 if side == "left" else 0], 40, "bold", "#fff7e6", "rm")
    pen.text(500, 618, "가랑잎산 둘레길 · 쓰레기는 되가져가 주세요", 22, "gothic", "#3b4a26", "mm")


def first_on(side: str) -> str:
    return min((km, name) for s, name, km in BOARDS if s == side)[1]


# --- sign-005: courts and their hours as bars -------------------------------------------------------------

COURTS = {"배드민턴장": (10, 12), "족구장": (14, 16), "농구장": (12, 14), "풋살장": (16, 19)}
OPENS, CLOSES = 6, 22


def courts(pen: Pen) -> None:
    def at(hour: float) -> float:
        return 220 + (hour - OPENS) * 42.5

    pen.box(0, 0, 960, 110, "#1e6b52")
    pen.text(40, 55, "냇가 체육공원 시설 이용 시간", 42, "barun-bold", "#ffffff", "lm")
    for hour in range(OPENS, CLOSES + 1, 2):
        pen.text(at(hour), 150, f"{hour}시", 22, "barun", anchor="mm")
        pen.line(at(hour), 172, at(hour), 520, "#c8d2cc", 2)
    for n, (court, (start, end)) in enumerate(COURTS.items()):
        y = 190 + n * 84
        pen.text(40, y + 28, court, 28, "barun-bold", anchor="lm")
        pen.box(at(OPENS), y, at(CLOSES), y + 56, "#8fd3a8", "#1e6b52")
        hatched(pen, at(start), y, at(end), y + 56)
    pen.box(220, 550, 270, 584, "#8fd3a8", "#1e6b52")
    pen.text(284, 567, "이용 가능", 24, "barun", anchor="lm")
    hatched(pen, 460, 550, 510, 584)
    pen.text(524, 567, "정비 중(출입 금지)", 24, "barun", anchor="lm")
    pen.text(480, 622, "정비 시간은 요일과 관계없이 같습니다.", 20, "barun", "#555555", "mm")


def hatched(pen: Pen, x0: float, y0: float, x1: float, y1: float) -> None:
    pen.box(x0, y0, x1, y1, "#f7d4cf")
    left, top, right, bottom = (int(edge) for edge in (x0 + 2, y0 + 2, x1 - 2, y1 - 2))
    height = bottom - top
    for x in range(left - height, right, 14):
        low, high = max(x, left), min(x + height, right)
        if low < high:
            pen.line(low, bottom - (low - x), high, bottom - (high - x), "#9c2b1f", 2)
    pen.box(x0, y0, x1, y1, None, "#9c2b1f")


def closed_at(hour: float) -> str:
    (court,) = [c for c, (start, end) in COURTS.items() if start <= hour < end]
    return court


# --- sign-006: a vertical directory of a building, and who moved -------------------------------------------

FLOORS = {"1층": "가온상사", "2층": "누리상사", "3층": "라온상사", "4층": "다온상사"}
MOVES = {"누리상사": "다온상사", "다온상사": "라온상사", "라온상사": "누리상사"}
"""Who moved into whose old place."""


def directory(pen: Pen) -> None:
    pen.box(20, 20, 580, 980, "#20262e", "#8d7a4f", 6, 8)
    pen.text(300, 60, "나래솔빌딩", 44, "serif", "#e9d9a6", "ma")
    pen.text(300, 122, "층별 안내", 30, "serif", "#e9d9a6", "ma")
    for n, (floor, tenant) in enumerate(FLOORS.items()):
        x = 480 - n * 120
        pen.box(x - 48, 180, x + 48, 240, "#8d7a4f", None, 4)
        pen.text(x, 210, floor, 32, "bold", "#20262e", "mm")
        pen.box(x - 48, 250, x + 48, 560, "#2d3540", "#8d7a4f", 4)
        pen.column(x, 290, tenant, 52, "serif", "#f6efdc")
    pen.box(60, 620, 540, 900, "#fffdf0", "#c9b458", 2, 3)
    pen.text(300, 640, "자리를 옮겼습니다", 32, "bold", "#b3261e", "ma")
    for n, (who, whose) in enumerate(MOVES.items()):
        pen.text(300, 706 + n * 46, f"{who} → {whose}가 있던 자리로", 28, "gothic", anchor="ma")
    pen.text(300, 860, "옮긴 날: 2026년 11월 2일", 23, "gothic", "#555555", "ma")
    pen.text(300, 925, "위 안내판은 옮기기 전의 것입니다", 28, "bold", "#f6efdc", "ma")


def now_on(floor: str) -> str:
    (tenant,) = [who for who, whose in MOVES.items() if FLOORS[floor] == whose]
    return tenant


SCENES = (
    Scene(
        "sign-001", "infer", "이 표지판에 따르면 2026년 11월 28일 토요일 오후 3시에 외부 차량을 세울 수 있는 곳은?",
        "달맞이 구역", ("해오름 구역", "솔바람 구역", "물안개 구역"), 1,
        "토요일 15시에는 달맞이 구역(14:00~20:00)과 솔바람 구역이 열리지만, 11월 28일은 넷째 토요일이어서 솔바람 구역은 쓸 수 없다",
        ("달맞이 구역", "14:00~20:00", MARKET), (960, 620), parking,
        "2026-11-28은 토요일이고 그달의 넷째 토요일이다(7, 14, 21, 28일)", "#c4cbd3",
    ),
    Scene(
        "sign-002", "lookup", "안내문에 따르면 12월 9일 오후 2시에 이용할 수 있는 자료실은?",
        "향토자료실", ("어린이자료실", "종합자료실", "디지털열람실"), 3,
        "12월 9일 14시에 쉬지 않는 곳은 12월 14일부터 쉬는 향토자료실뿐이다",
        tuple(when for _, when, _ in ROOMS), (700, 900), library, paper="#fbfaf3",
    ),
    Scene(
        "sign-003", "infer", "이 안내문에 따라 104동 승강기를 점검하는 시간은?",
        LIFTS["103동"], (LIFTS["101동"], LIFTS["102동"], LIFTS["104동"]), 3,
        "103동과 104동의 시간을 서로 바꾸므로 104동은 표에서 103동의 시간인 13:30~15:00에 점검한다",
        (LIFTS["103동"], "103동과 104동의 점검 시간을 서로 바꿉니다."), (760, 950), lift, paper="#d9d3c3",
    ),
    Scene(
        "sign-004", "infer", "이 이정표가 가리키는 대로 왼쪽 길로 갈 때 가장 먼저 닿는 쉼터는?",
        first_on("left"), ("꽃샘쉼터", "은빛쉼터", "솔향쉼터"), 4,
        "왼쪽을 가리키는 것은 꽃샘쉼터(1.6 km)와 도란쉼터(0.7 km)이고, 가까운 쪽은 도란쉼터다",
        ("꽃샘쉼터", "1.6 km", "도란쉼터", "0.7 km"), (1000, 640), signpost, paper="#dcecf5",
    ),
    Scene(
        "sign-005", "lookup", "이 안내판에 따르면 오후 1시에 들어갈 수 없는 곳은?",
        closed_at(13), ("배드민턴장", "족구장", "풋살장"), 1,
        "13시에 정비 중인 곳은 12시부터 14시까지 빗금이 있는 농구장이다",
        ("농구장", "정비 중(출입 금지)"), (960, 650), courts, paper="#f7faf7",
    ),
    Scene(
        "sign-006", "infer", "자리를 옮긴 뒤 지금 4층에 있는 회사는?",
        now_on("4층"), ("가온상사", "다온상사", "라온상사"), 2,
        "4층은 다온상사의 자리였고, 그 자리로 누리상사가 옮겼다",
        ("4층", "누리상사 → 다온상사가 있던 자리로", "위 안내판은 옮기기 전의 것입니다"), (600, 1000), directory, paper="#b8b2a6",
    ),
)  # fmt: skip
