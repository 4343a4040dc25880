"""The words of every view, in English and Korean. A label is always a word: colour only repeats it."""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "model": "model",
        "title": "Scores 0-100 [95 % interval], n scored · coverage; label, points from the others' mean",
        "none": "–", "SIMULATED": "SIMULATED", "copied": "copied", "cached": "cached",
        "strength": "strength", "weakness": "weakness", "even": "even", "saturated": "saturated", "thin": "thin", "unclear": "unclear",
        "detectable": "smallest true difference found 8 times in 10, in points (median of the field, Holm over {family}): {each}",
        "undetectable": " (–: so few clusters that not even 100 points would be)",
        "no_field": "no labels: a field needs three models of region overseas or domestic that scored 90 % of a cell",
        "conduct": "{pack}: speed, cost, conduct",
        "latency_p50": "latency\np50 s", "latency_p95": "latency\np95 s", "tokens_per_s": "output\ntoken/s", "cost_per_1k": "US$ per\n1,000",
        "hangul_per_token": "Hangul\nper token", "refused_rate": "refused\n%", "truncated_rate": "cut off\n%", "parsed_rate": "parsed\n%",
        "conduct_note": "[ ]: Wilson's 95 % interval with clusters as the count, in whole percent, widened outwards; "
        "latency, token/s and cost are this run's own and have none: another hour or price moves them, not other questions; "
        "cached: so much of the input came from the vendor's cache, which makes an answer quicker and cheaper",
        "relatively_better": "relatively better in", "relatively_worse": "relatively worse in",
        "profile_title": "Each model against itself: where it stands otherwise than elsewhere",
        "profile_note": "points from the others' mean less the model's own mean over packs [95 % interval]; said only of 5 points or more with "
        "p < .05 after Holm over all of these cells (t, its error read from the intervals); never a strength by itself, which is a label above",
        "overseas": "overseas", "domestic": "domestic",
        "simulated": "(simulated)", "region": "region",
        "vendor": "vendor", "strengths": "strengths", "weaknesses": "weaknesses", "others": "cells without a statement",
        "not_measured": "not measured", "no_label": "no field",
        "article_title": "Strengths and weaknesses by region and vendor: labelled cells only, points from the mean of the others [95 % interval]",
        "article_note": "{strength} and {weakness}: Holm-adjusted p < .05 and at least 5 points, on at least 80 scored answers of 40 clusters",
        "claims_title": "What the articles claim, and what these runs say to it",
        "claim": "claim", "about": "about", "verdict": "verdict", "numbers": "the numbers",
        "supported": "supported", "contradicted": "contradicted", "inconclusive": "inconclusive", "not measured": "not measured",
        "all": "all", "untestable": "no run can measure this", "local": "no local server was asked", "more": "and {n} more: --format json",
        "domestic_less_overseas": "domestic less overseas",
        "evidence": "What the questions rest on (page: read for the item; recall: a writer's knowledge alone): {each}",
        "pack": "pack", "public_part": "public", "sealed_part": "sealed", "gap": "gap", "p_holm": "p (Holm)", "least_gap": "least\ngap found",
        "better_on_public": "better on public", "as_chance_allows": "as chance allows", "not_comparable": "not comparable",
        "sealed_title": "Public and sealed parts: is the public part known by heart?",
        "sealed_note": "gap: public less sealed in points, alike clusters compared; p: one-sided, lots drawn anew within stratum and type, Holm over all rows; "
        "least gap found: a true gap of so many points is found 8 times in 10, a smaller one may not be",
    },
    "ko": {
        "model": "모델",
        "title": "점수 0-100 [95 % 신뢰구간], 채점 문항 수 · 채점률; 판정과 다른 모델 평균과의 차이(점)",
        "none": "–", "SIMULATED": "SIMULATED (시뮬레이션)", "copied": "베낌", "cached": "캐시",
        "strength": "강점", "weakness": "과제", "even": "대등", "saturated": "포화", "thin": "표본 부족", "unclear": "불분명",
        "detectable": "검정력 80 %로 찾아낼 수 있는 최소 차이(점, 모델들의 중앙값, 비교 {family}개의 Holm 보정): {each}",
        "undetectable": " (–: 군집이 너무 적어 100점 차이도 찾아낼 수 없음)",
        "no_field": "판정 없음: 해외·국내 모델 셋 이상이 칸의 90 % 이상을 채점받아야 비교합니다",
        "conduct": "{pack}: 속도, 비용, 응답 태도",
        "latency_p50": "지연\np50 초", "latency_p95": "지연\np95 초", "tokens_per_s": "출력\n토큰/초", "cost_per_1k": "1,000문항\nUS$",
        "hangul_per_token": "토큰당\n한글", "refused_rate": "거부\n%", "truncated_rate": "잘림\n%", "parsed_rate": "답 추출\n%",
        "conduct_note": "[ ]: 군집 수를 표본 수로 본 Wilson 95 % 신뢰구간(정수 퍼센트, 바깥쪽으로 올림·내림); "
        "지연, 토큰/초, 비용은 이번 실행의 값이라 구간이 없음: 문항이 아니라 시간대와 가격에 따라 달라짐; "
        "캐시: 입력 가운데 기업의 캐시에서 나온 비율로, 답이 그만큼 빨라지고 싸짐",
        "relatively_better": "상대적으로 나은 칸", "relatively_worse": "상대적으로 못한 칸",
        "profile_title": "자기 자신과의 비교: 다른 칸에서와 달리 서는 곳",
        "profile_note": "다른 모델 평균과의 차이 − 묶음들에 걸친 자기 평균(점) [95 % 신뢰구간]; 5점 이상이고 이 칸들 모두의 "
        "Holm 보정 p < .05인 것만(t 검정, 오차는 구간에서 읽음); 그 자체로 강점은 아니며, 강점은 위의 판정뿐",
        "overseas": "해외", "domestic": "국내",
        "simulated": "(시뮬레이션)", "region": "지역",
        "vendor": "기업", "strengths": "강점", "weaknesses": "과제", "others": "판정 없는 칸",
        "not_measured": "측정 안 됨", "no_label": "비교 모델 부족",
        "article_title": "지역과 기업별 강점과 과제: 판정이 붙은 칸만, 다른 모델 평균과의 차이(점) [95 % 신뢰구간]",
        "article_note": "{strength}과 {weakness}: Holm 보정 p < .05, 5점 이상, 군집 40개 이상의 채점 80건 이상",
        "claims_title": "기사들의 주장과 이 실행이 말하는 것",
        "claim": "주장", "about": "대상", "verdict": "판정", "numbers": "근거 수치",
        "supported": "뒷받침됨", "contradicted": "반박됨", "inconclusive": "판단 유보", "not measured": "측정 안 됨",
        "all": "전체", "untestable": "실행으로 잴 수 없음", "local": "로컬 서버에 물은 적 없음", "more": "외 {n}건: --format json",
        "domestic_less_overseas": "국내 − 해외",
        "evidence": "문항의 근거(page: 그 문항을 위해 읽은 글, recall: 글쓴이의 지식뿐): {each}",
        "pack": "묶음", "public_part": "공개", "sealed_part": "봉인", "gap": "차이", "p_holm": "p (Holm)", "least_gap": "찾을 수 있는\n최소 차이",
        "better_on_public": "공개 쪽이 높음", "as_chance_allows": "우연 범위", "not_comparable": "비교 불가",
        "sealed_title": "공개 부분과 봉인 부분: 공개된 문항을 외웠는가?",
        "sealed_note": "차이: 같은 종류의 군집끼리 견준 공개 − 봉인(점); p: 층과 유형 안에서 제비를 다시 뽑은 단측 검정, 모든 행의 Holm 보정; "
        "찾을 수 있는 최소 차이: 참된 차이가 그만큼이면 열에 여덟 번 찾아내며, 더 작으면 놓칠 수 있음",
    },
}  # fmt: skip
