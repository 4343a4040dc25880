"""Messenger conversations (메신저 대화)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packtools.korean_image.pen import Pen
from packtools.korean_image.scene import Scene

ME = ""
WIDTH, SIZE, LEAD = 640, 24, 34
WIDEST = 390
AVATARS = ("#e58a6f", "#6fa8dc", "#8fbf6a", "#b58ad6", "#d9b23c")


@dataclass(frozen=True, slots=True)
class Said:
    """A bubble: who (`ME` stands on the right), the text, the time, and how many have not read it yet."""

    who: str
    text: str
    at: str
    unread: int = 0


def wrapped(pen: Pen, text: str) -> list[str]:
    """The text in lines that fit a bubble, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.width(longer, SIZE, "barun") > WIDEST and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def room(pen: Pen, title: str, said: Sequence[Said], *, top: float = 92, hint: str = "") -> None:
    """A chat room's screen: a title bar, a hint, the bubbles."""
    pen.box(0, 0, WIDTH, 72, "#9db4c8")
    pen.text(28, 36, title, 29, "barun-bold", anchor="lm")
    y = top
    if hint:
        pen.text(WIDTH / 2, y, hint, 20, "barun", "#3f5468", "ma")
        y += 40
    speakers = list(dict.fromkeys(s.who for s in said if s.who != ME))
    before = None
    for one in said:
        if one.who != before and one.who != ME:
            y = _speaker(pen, one.who, AVATARS[speakers.index(one.who) % len(AVATARS)], y)
        y = _bubble(pen, one, y)
        before = one.who
    if y > pen.size[1]:
        raise ValueError(f"{title}: the talk needs {y:.0f} pixels, the picture has {pen.size[1]}")


def _speaker(pen: Pen, who: str, colour: str, y: float) -> float:
    pen.box(20, y, 72, y + 52, colour, None, 20)
    pen.text(46, y + 26, who[0], 26, "barun-bold", "#ffffff", "mm")
    pen.text(84, y + 2, who, 20, "barun", "#33475b")
    return y + 30


def _bubble(pen: Pen, one: Said, y: float) -> float:
    lines = wrapped(pen, one.text)
    wide = max(pen.width(line, SIZE, "barun") for line in lines) + 32
    high = len(lines) * LEAD + 20
    mine = one.who == ME
    x0 = WIDTH - 20 - wide if mine else 84
    pen.box(x0, y, x0 + wide, y + high, "#ffe45c" if mine else "#ffffff", None, 14)
    for n, line in enumerate(lines):
        pen.text(x0 + 16, y + 12 + n * LEAD, line, SIZE, "barun")
    beside, anchor = (x0 - 8, "rs") if mine else (x0 + wide + 8, "ls")
    pen.text(beside, y + high - 4, one.at, 17, "barun", "#4a5c6e", anchor)
    if one.unread:
        pen.text(beside, y + high - 26, str(one.unread), 19, "barun-bold", "#b8860b", anchor)
    return y + high + 14


# --- chat-001: who stays away ------------------------------------------------------------------------------

WALK = (
    Said("하린", "내일 아침 7시, 호수공원 정문에서 봬요!", "20:11"),
    Said("태오", "저는 감기 기운이 있어서 빠질게요 ㅠㅠ", "20:15"),
    Said("보람", "저도 아이 발표회가 내일이라 못 갈 것 같아요.", "20:18"),
    Said("준서", "저는 갑니다~", "20:19"),
    Said("태오", "약 먹고 자고 나니 멀쩡하네요. 내일 갈게요!", "21:40"),
    Said("보람", "다시 보니 발표회가 다음 주였어요. 저도 갑니다 ㅎㅎ", "21:43"),
    Said("준서", "죄송해요, 방금 당직이 잡혔어요. 저는 다음에 뵐게요.", "21:52"),
    Said(ME, "네, 그럼 저까지 넷이서 봬요!", "21:55"),
)


def walk(pen: Pen) -> None:
    room(pen, "토요 아침 산책 (5명)", WALK)


# --- chat-002: the price agreed on ---------------------------------------------------------------------------

DESK = (
    Said(ME, "안녕하세요. 책상 4만 8천 원에 가능할까요?", "14:02"),
    Said("책상 주인", "5만 5천 원까지는 해 드릴 수 있어요.", "14:05"),
    Said(ME, "의자도 함께 사면 얼마일까요?", "14:06"),
    Said("책상 주인", "둘을 같이 사시면 7만 원에 드릴게요.", "14:08"),
    Said(ME, "음, 의자는 빼고 책상만 살게요. 오늘 제가 가지러 가겠습니다.", "14:15"),
    Said("책상 주인", "가지러 오신다니 아까 말씀드린 책상값에서 3천 원 더 빼 드릴게요.", "14:17"),
    Said(ME, "고맙습니다. 그 값으로 하죠!", "14:18"),
)


def desk(pen: Pen) -> None:
    room(pen, "책상 주인", DESK, top=214)
    pen.box(20, 90, 620, 194, "#f7f3ea", "#c9bfa8", 10)
    pen.box(36, 104, 116, 180, "#efe3cf", None, 6)
    pen.box(44, 122, 108, 132, "#8a6238")
    for x in (48, 98):
        pen.box(x, 132, x + 6, 170, "#8a6238")
    pen.box(72, 134, 98, 156, "#b98d5d", "#8a6238")
    pen.text(134, 108, "원목 책상(서랍 2칸)", 26, "barun-bold")
    pen.text(134, 146, "60,000원", 28, "barun-bold", "#b3261e")


# --- chat-003: who brings what ---------------------------------------------------------------------------------

BIRTHDAY = (
    Said("엄마", "할머니 생신 준비 나눠서 하자. 케이크, 꽃다발, 과일, 풍선!", "18:30"),
    Said("언니", "케이크는 내가 주문할게", "18:31"),
    Said(ME, "그럼 꽃다발은 내가 살게", "18:33"),
    Said("막내", "나 지금 꽃집 앞이야. 꽃다발 내가 사면 안 돼? 원래는 과일 맡으려고 했어", "18:34"),
    Said(ME, "그래, 그럼 우리 서로 바꾸자", "18:35"),
    Said("엄마", "좋아. 풍선은 내가 살게~", "18:37"),
)


def birthday(pen: Pen) -> None:
    room(pen, "우리 집 (4명)", BIRTHDAY)


# --- chat-004: who has read it -----------------------------------------------------------------------------------

MEMBERS = 9
READERS = (
    Said("은재", "이번 달 회비는 만 원입니다. 금요일까지 부탁드려요.", "09:10", 2),
    Said("시우", "방금 냈습니다!", "09:24", 2),
    Said("은재", "다음 모임 장소가 별관 2층으로 바뀌었습니다. 꼭 확인해 주세요.", "19:45", 5),
    Said(ME, "네, 알겠습니다.", "19:47", 5),
)


def readers(pen: Pen) -> None:
    room(pen, f"산들바람 독서회 ({MEMBERS}명)", READERS, hint="말풍선 옆 숫자는 아직 읽지 않은 사람의 수입니다")


def have_read() -> int:
    """Readers of the note on the place, its sender left out."""
    (note,) = [s for s in READERS if "장소" in s.text]
    return MEMBERS - 1 - note.unread


# --- chat-005: when and where --------------------------------------------------------------------------------------

DINNER = (
    Said("도경", "금요일 저녁 7시, 은하역 2번 출구에서 볼까?", "12:20"),
    Said(ME, "좋아. 나는 30분 당겨도 괜찮아", "12:24"),
    Said("도경", "나는 회의가 있어서 오히려 30분 늦춰야 할 것 같아 ㅠ", "12:25"),
    Said(ME, "그럼 그렇게 하자. 출구는 5번이 밥집에서 더 가깝대", "12:31"),
    Said("도경", "5번은 공사 때문에 막혔더라. 내가 처음 말한 출구로 나와", "12:33"),
    Said(ME, "오케이, 금요일에 봐", "12:34"),
)


def dinner(pen: Pen) -> None:
    room(pen, "도경", DINNER)


# --- chat-006: a vote, and those who changed it ------------------------------------------------------------------------

VOTES = {"12월 11일(금)": 7, "12월 12일(토)": 4, "12월 18일(금)": 6, "12월 19일(토)": 6}
CHANGED = (("12월 11일(금)", "12월 19일(토)"), ("12월 18일(금)", "12월 12일(토)"))
AFTER_VOTE = (
    Said("규리", "저 11일에 투표했는데 그날 출장이 잡혔어요. 19일로 옮겨서 세어 주세요.", "10:02"),
    Said("승호", "저도 18일 표를 12일로 옮겨 주세요.", "10:05"),
    Said("나연", "네! 두 분 표까지 옮겨 세고, 가장 표가 많은 날로 정하겠습니다.", "10:20"),
)


def vote(pen: Pen) -> None:
    room(pen, f"동네 합창단 ({sum(VOTES.values())}명)", AFTER_VOTE, top=492)
    pen.box(60, 96, 580, 468, "#ffffff", None, 14)
    pen.text(84, 116, "[투표] 송년 모임 날짜", 27, "barun-bold")
    pen.text(84, 152, "10:00 현재 결과입니다.", 19, "barun", "#4a5c6e")
    for n, (day, count) in enumerate(VOTES.items()):
        y = 194 + n * 66
        pen.text(84, y, day, 24, "barun")
        pen.text(556, y, f"{count}명", 24, "barun-bold", anchor="ra")
        pen.box(84, y + 34, 556, y + 46, "#e6eaee", None, 6)
        pen.box(84, y + 34, 84 + 472 * count / sum(VOTES.values()), y + 46, "#4a90d9", None, 6)


def winner() -> str:
    votes = dict(VOTES)
    for old, new in CHANGED:
        votes[old] -= 1
        votes[new] += 1
    most = [day for day, count in votes.items() if count == max(votes.values())]
    if len(most) > 1:
        raise ValueError("the vote is a tie")
    return most[0].partition("(")[0]


SKY = "#b7c9d9"
SCENES = (
    Scene(
        "chat-001", "infer", "이 대화에서 결국 내일 산책에 나오지 않기로 한 사람은?",
        "준서", ("하린", "태오", "보람"), 4,
        "태오와 보람은 못 온다고 했다가 오기로 했고, 준서는 온다고 했다가 당직 때문에 빠졌다",
        ("약 먹고 자고 나니 멀쩡하네요. 내일 갈게요!", "다시 보니 발표회가 다음 주였어요. 저도 갑니다", "죄송해요, 방금 당직이 잡혔어요. 저는 다음에 뵐게요."), (WIDTH, 1000), walk, paper=SKY,
    ),
    Scene(
        "chat-002", "compute", "이 대화에서 두 사람이 마지막으로 정한 값은?",
        f"{55000 - 3000:,}원", ("45,000원", "48,000원", "55,000원"), 3,
        "책상만 5만 5천 원에 사기로 했고 가지러 가서 3천 원을 더 빼 주므로 52,000원이다",
        ("5만 5천 원까지는 해 드릴 수 있어요.", "의자는 빼고 책상만 살게요.", "아까 말씀드린 책상값에서 3천 원 더 빼 드릴게요."), (WIDTH, 894), desk, "55,000 − 3,000 = 52,000", SKY,
    ),
    Scene(
        "chat-003", "infer", "오른쪽 노란 말풍선을 쓴 사람이 결국 맡은 것은?",
        "과일", ("케이크", "꽃다발", "풍선"), 2,
        "꽃다발을 맡으려다가 과일을 맡으려던 막내와 서로 바꾸었다",
        ("꽃다발 내가 사면 안 돼? 원래는 과일 맡으려고 했어", "그래, 그럼 우리 서로 바꾸자"), (WIDTH, 700), birthday, paper=SKY,
    ),
    Scene(
        "chat-004", "compute", "모임 장소가 바뀌었다는 글을 읽은 사람은, 글을 쓴 사람을 빼고 몇 명인가?",
        f"{have_read()}명", ("4명", "5명", "6명"), 1,
        "9명 가운데 쓴 사람 1명과 아직 읽지 않은 5명을 빼면 3명이다",
        ("산들바람 독서회 (9명)", "5"), (WIDTH, 576), readers, "9 − 1 − 5 = 3", SKY,
    ),
    Scene(
        "chat-005", "infer", "두 사람이 만나기로 한 때와 곳은?",
        "7시 30분, 2번 출구", ("6시 30분, 2번 출구", "6시 30분, 5번 출구", "7시 30분, 5번 출구"), 3,
        "7시에서 30분 늦추기로 했고, 5번 출구는 막혀서 처음 말한 2번 출구에서 만난다",
        ("금요일 저녁 7시, 은하역 2번 출구에서 볼까?", "오히려 30분 늦춰야 할 것 같아", "그럼 그렇게 하자.", "내가 처음 말한 출구로 나와"), (WIDTH, 744), dinner, paper=SKY,
    ),
    Scene(
        "chat-006", "compute", "옮긴 표까지 셀 때 송년 모임을 하게 되는 날은?",
        winner(), ("12월 11일", "12월 12일", "12월 18일"), 4,
        "11일 7→6표, 12일 4→5표, 18일 6→5표, 19일 6→7표가 되어 19일이 가장 많다",
        ("7명", "4명", "6명", "19일로 옮겨서 세어 주세요.", "저도 18일 표를 12일로 옮겨 주세요."), (WIDTH, 870), vote,
        "7−1 = 6; 4+1 = 5; 6−1 = 5; 6+1 = 7", SKY,
    ),
)  # fmt: skip
