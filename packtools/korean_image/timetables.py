"""Timetables and rosters (시간표·배차표)."""

from __future__ import annotations

from packtools.korean_image.pen import Pen, tilt
from packtools.korean_image.scene import Scene


def minutes(clock: str) -> int:
    """Minutes since midnight of `14:20`."""
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def spoken(clock: str) -> str:
    hour, minute = clock.split(":")
    return f"{int(hour)}시 {minute}분"


# --- timetable-001: the bus that passes the clinic ----------------------------------------------------------

BUS = {
    "평일": {13: "05 25● 45", 14: "05● 30 55", 15: "15● 35 55●", 16: "15 35● 55", 17: "10 25● 40"},
    "토요일": {13: "10 40●", 14: "15● 25 50", 15: "10● 45", 16: "20 55●", 17: "30"},
    "일요일·공휴일": {13: "20", 14: "00● 40", 15: "20", 16: "00 40●", 17: "20"},
}


def bus(pen: Pen) -> None:
    pen.box(0, 0, 800, 120, "#2e7d4f")
    pen.text(40, 60, "마을 3", 56, "bold", "#ffffff", "lm")
    pen.text(770, 40, "돌담초등학교 앞", 32, "bold", "#ffffff", "rm")
    pen.text(770, 86, "서늘못 방면 시간표", 22, "gothic", "#dff0e5", "rm")
    rows = [("시", *BUS), *((str(hour), *(BUS[d][hour].replace(" ", "  ") for d in BUS)) for hour in range(13, 18))]
    pen.table((30, 110, 340, 560, 770), [150 + 74 * n for n in range(7)], rows, 30, head="#dcefe3", edge="#5d8c6f")
    pen.text(40, 618, "● 표시: 보건지소를 거쳐 가는 버스 (표시가 없으면 거치지 않습니다.)", 22)
    pen.text(40, 654, "도로 사정에 따라 1~3분 늦을 수 있습니다.", 20, "gothic", "#555555")
    pen.text(770, 690, "2026. 11. 1. 고침", 18, "gothic", "#777777", "ra")


def first_marked(day: str, after: str) -> str:
    times = [f"{h}:{m[:2]}" for h, row in BUS[day].items() for m in row.split() if m.endswith("●")]
    return min((t for t in times if minutes(t) >= minutes(after)), key=minutes)


# --- timetable-002: trains that are late ----------------------------------------------------------------------

TRAINS = (
    ("누리 103", "14:10", "15:02", 25), ("바람 208", "14:18", "15:20", 0),
    ("물결 315", "14:25", "15:08", 10), ("구름 412", "14:31", "15:14", 5),
)  # fmt: skip


def board(pen: Pen) -> None:
    pen.text(40, 34, "열차 안내", 38, "bold", "#ffffff")
    pen.text(984, 40, "현재 시각 14:05", 30, "mono", "#ffd54a", "ra")
    pen.row(112, ((40, "열차"), (300, "출발"), (480, "은하역 도착"), (740, "알림")), 26, "gothic", "#9fb3c8")
    for n, (train, leaves, arrives, late) in enumerate(TRAINS):
        y = 160 + n * 92
        pen.box(20, y, 1004, y + 78, "#18222e" if n % 2 else "#101820")
        note, colour = (f"{late}분 늦음", "#ff8a65") if late else ("제시간", "#81c784")
        pen.text(40, y + 39, train, 38, "bold", "#ffffff", "lm")
        pen.text(300, y + 39, leaves, 38, "mono", "#ffd54a", "lm")
        pen.text(480, y + 39, arrives, 38, "mono", "#ffd54a", "lm")
        pen.text(740, y + 39, note, 34, "bold", colour, "lm")
    pen.text(512, 556, "늦는 열차는 적힌 만큼 출발과 도착이 모두 늦어집니다.", 24, "gothic", "#9fb3c8", "mm")


def first_train() -> str:
    return min(TRAINS, key=lambda t: minutes(t[2]) + t[3])[0]


# --- timetable-003: two lessons change places --------------------------------------------------------------------

DAYS = ("월", "화", "수", "목", "금")
LESSONS = (
    ("국어", "과학", "영어", "수학", "국어"), ("수학", "영어", "사회", "국어", "과학"), ("체육", "국어", "국어", "영어", "미술"),
    ("사회", "수학", "과학", "체육", "실과"), ("음악", "실과", "미술", "음악", "체육"), ("창체", "사회", "수학", "도덕", "창체"),
)  # fmt: skip
"""Rows are the lessons 1 to 6, columns the days."""
SWAPPED = ("수", 2), ("금", 5)


SWAP = "{}요일 {}교시와 {}요일 {}교시를 서로 바꿈".format(*SWAPPED[0], *SWAPPED[1])


def school(pen: Pen) -> None:
    pen.text(440, 34, "5학년 2반 시간표", 46, "barun-bold", "#27408b", "ma")
    rows = [("", *DAYS), *((f"{n}교시", *row) for n, row in enumerate(LESSONS, 1))]
    xs = (40, 170, 300, 430, 560, 690, 840)
    pen.table(xs, [120 + 66 * n for n in range(8)], rows, 29, "barun", "#dfe6fb", "#6679b8")
    pen.box(40, 606, 840, 704, "#fff7d6", "#e0b93b", 8, 2)
    pen.text(64, 624, "이번 주(11월 23일~27일)만 이렇게 바꿉니다", 25, "barun-bold")
    pen.text(64, 662, SWAP, 26, "barun")


def lesson(day: str, number: int) -> str:
    return LESSONS[number - 1][DAYS.index(day)]


# --- timetable-004: a roster --------------------------------------------------------------------------------------

WEEK = ("30(월)", "1(화)", "2(수)", "3(목)", "4(금)", "5(토)", "6(일)")
ROSTER = {
    "도윤": "낮 낮 저 밤 쉼 쉼 낮", "서아": "저 밤 쉼 낮 낮 저 쉼", "하람": "밤 쉼 낮 저 밤 쉼 저",
    "지안": "쉼 저 밤 낮 저 낮 쉼", "은우": "낮 쉼 저 쉼 낮 밤 쉼", "이든": "쉼 낮 낮 저 쉼 저 밤",
}  # fmt: skip
SHIFTS = {"낮": "#fff3c4", "저": "#ffd9c2", "밤": "#c9d3f2", "쉼": "#ffffff"}


def roster(pen: Pen) -> None:
    pen.text(40, 30, "달빛병원 근무표", 42, "bold")
    pen.text(980, 46, "2026. 11. 30.~12. 6.", 26, "gothic", "#444444", "ra")
    xs = [40, 160, *(160 + 117 * n for n in range(1, 8))]
    ys = [104 + 66 * n for n in range(8)]
    for n, row in enumerate(ROSTER.values(), 1):
        for m, shift in enumerate(row.split(), 1):
            pen.box(xs[m], ys[n], xs[m + 1], ys[n + 1], SHIFTS[shift])
    pen.table(xs, ys, [("이름", *WEEK), *((who, *row.split()) for who, row in ROSTER.items())], 27, head="#e6e6ea")
    pen.text(40, 592, "낮 07:00~15:00   저(녁) 15:00~23:00   밤 23:00~다음 날 07:00   쉼 쉬는 날", 23)


def day_after_night() -> str:
    (who,) = [who for who, row in ROSTER.items() if "밤 낮" in row]
    return who


# --- timetable-005: the ferry ---------------------------------------------------------------------------------------

TO_ISLAND = ("08:40", "10:20", "12:50", "15:10")
FROM_ISLAND = (("09:50", ""), ("11:40", ""), ("14:20", ""), ("16:40", ""), ("17:50", "평일만"))
CROSSING = 35


def ferry(pen: Pen) -> None:
    pen.box(40, 30, 800, 720, "#f4fbff", "#0f5c7a", 0, 4)
    pen.text(420, 58, "해솔섬 뱃길 시간표", 48, "serif", "#0f5c7a", "ma")
    pen.text(420, 128, "나루항 ↔ 해솔섬   건너는 시간 35분", 27, "bold", anchor="ma")
    for x0, title in ((80, "나루항에서 출발"), (440, "해솔섬에서 출발")):
        pen.box(x0, 190, x0 + 320, 246, "#0f5c7a")
        pen.text(x0 + 160, 218, title, 28, "bold", "#ffffff", "mm")
        pen.box(x0, 246, x0 + 320, 590, "#ffffff", "#0f5c7a")
    for n, clock in enumerate(TO_ISLAND):
        pen.text(240, 290 + n * 62, clock, 38, "mono", anchor="mm")
    for n, (clock, only) in enumerate(FROM_ISLAND):
        pen.text(600, 290 + n * 62, clock, 38, "mono", anchor="mm")
        pen.text(665, 291 + n * 62, only, 21, "bold", "#b3261e", "lm")
    pen.text(80, 622, "· 배가 떠나기 10분 전까지 타 주십시오.", 22)
    pen.text(80, 658, "· 바람이 세거나 안개가 짙으면 배가 뜨지 않을 수 있습니다.", 22)
    tilt(pen, 0.8, "#7fa7b8")


def stay(clock: str) -> str:
    """Hours and minutes on the island on a Sunday, from the boat of `clock` until the last one back."""
    last = [c for c, only in FROM_ISLAND if not only][-1]
    return lasting(minutes(last) - minutes(clock) - CROSSING)


def lasting(length: int) -> str:
    return f"{length // 60}시간 {length % 60}분"


# --- timetable-006: the next film --------------------------------------------------------------------------------------

FILMS = (
    ("우산 수리공", 98, ("10:10", "13:30", "17:00")), ("종이배 선장", 112, ("11:40", "15:05", "18:20")),
    ("귤밭의 유령", 87, ("12:15", "15:45", "19:10")), ("달팽이 경주", 104, ("10:40", "15:20", "18:45")),
    ("모래시계 여관", 121, ("13:50", "15:35", "20:00")),
)  # fmt: skip


def cinema(pen: Pen) -> None:
    pen.text(60, 40, "반달극장", 50, "serif", "#ffe9b0")
    pen.text(900, 58, "12월 5일(토) 상영 시간표", 30, "bold", "#ffffff", "ra")
    pen.row(136, ((60, "제목"), (370, "길이"), (520, "시작하는 시각")), 24, "gothic", "#c8a9b3")
    for n, (title, length, starts) in enumerate(FILMS):
        y = 178 + n * 96
        pen.line(60, y, 900, y, "#6d3a4a", 2)
        pen.text(60, y + 48, title, 36, "bold", "#ffffff", "lm")
        pen.text(370, y + 48, f"{length}분", 30, "gothic", "#ffe9b0", "lm")
        for m, clock in enumerate(starts):
            pen.box(520 + m * 130, y + 20, 634 + m * 130, y + 76, "#5a2738", "#a06a7b", 8)
            pen.text(577 + m * 130, y + 48, clock, 30, "mono", "#ffffff", "mm")
    pen.text(480, 690, "예고편 없이 적힌 시각에 바로 시작합니다.", 22, "gothic", "#c8a9b3", "mm")


def next_film(after: str) -> str:
    """The film that starts first once the first of the list, begun at `after`, is over."""
    over = minutes(after) + FILMS[0][1]
    return min((minutes(s), title) for title, _, starts in FILMS[1:] for s in starts if minutes(s) >= over)[1]


SCENES = (
    Scene(
        "timetable-001", "lookup",
        "토요일 오후 2시 20분에 이 정류장에 온 사람이 보건지소에 가려고 할 때, 탈 수 있는 첫 버스의 시각은?",
        spoken(first_marked("토요일", "14:20")),
        ("14시 25분", spoken(first_marked("평일", "14:20")), spoken(first_marked("일요일·공휴일", "14:20"))), 2,
        "토요일 14시 20분 뒤에 ● 표시가 처음 나오는 버스는 15시 10분 버스다",
        ("15●  35  55●", "10●  45", "● 표시: 보건지소를 거쳐 가는 버스 (표시가 없으면 거치지 않습니다.)"), (800, 730), bus,
    ),
    Scene(
        "timetable-002", "compute", "알림에 적힌 대로 운행할 때 은하역에 가장 먼저 도착하는 열차는?",
        first_train(), ("누리 103", "바람 208", "구름 412"), 3,
        "늦는 시간을 더하면 물결 315가 15:18로 가장 이르다",
        ("15:02", "25분 늦음", "15:20", "15:08", "10분 늦음", "15:14", "5분 늦음"), (1024, 600), board,
        "15:02+25 = 15:27; 15:20; 15:08+10 = 15:18; 15:14+5 = 15:19", "#0a0f14",
    ),
    Scene(
        "timetable-003", "infer", "이번 주 금요일 5교시에 배우는 과목은?",
        lesson("수", 2), (lesson("금", 5), lesson("금", 2), lesson("수", 5)), 1,
        "수요일 2교시(사회)와 금요일 5교시(체육)를 바꾸므로 이번 주 금요일 5교시는 사회다",
        (SWAP, "사회"), (880, 730), school, paper="#fdfdff",
    ),
    Scene(
        "timetable-004", "lookup", "이 근무표에서 밤 근무를 마친 날 바로 낮 근무가 이어지는 사람은?",
        day_after_night(), ("도윤", "서아", "하람"), 4,
        "밤 다음 칸이 낮인 사람은 지안(2일 밤, 3일 낮)뿐이다",
        ("지안", "밤", "낮"), (1020, 640), roster,
    ),
    Scene(
        "timetable-005", "compute", "일요일에 나루항에서 10시 20분에 떠나는 배로 섬에 들어가 그날 마지막 배로 나온다면, 섬에 머무는 시간은?",
        stay("10:20"), ("6시간 20분", "6시간 55분", "7시간 30분"), 1,
        "10:55에 닿고, 17:50 배는 평일에만 있으므로 16:40 배로 나온다. 머무는 시간은 5시간 45분이다",
        ("나루항 ↔ 해솔섬   건너는 시간 35분", "16:40", "17:50", "평일만"), (840, 750), ferry,
        "10:20 + 35분 = 10:55; 16:40 − 10:55 = 5시간 45분", "#7fa7b8",
    ),
    Scene(
        "timetable-006", "compute", "오후 1시 30분에 시작하는 ‘우산 수리공’을 끝까지 본 뒤 가장 먼저 시작하는 영화는?",
        next_film("13:30"), ("종이배 선장", "귤밭의 유령", "모래시계 여관"), 2,
        "‘우산 수리공’은 98분이므로 15:08에 끝나고, 그 뒤 가장 먼저 시작하는 것은 15:20의 ‘달팽이 경주’다",
        ("우산 수리공", "98분", "15:05", "15:20", "15:35", "15:45"), (960, 720), cinema,
        "13:30 + 98분 = 15:08", "#3a1522",
    ),
)  # fmt: skip
