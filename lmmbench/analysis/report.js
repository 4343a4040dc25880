"use strict";
// The page of `lmmbench report`. Text of models reaches the page in one way only: `el` makes text nodes of it, after
// `visible` has put a number in place of every character that is not seen, or would act. No markup is ever made from text.

// --- words ----------------------------------------------------------------------------------------

const WORDS = {
  en: {
    skip_link: "Skip to the matrix", title: "Benchmark report", language: "Language", theme: "Colours",
    theme_auto: "as the system", theme_light: "light", theme_dark: "dark",
    simulated: "SIMULATED: the answers of sim-* models were made up by a test server. No vendor was asked, and no number here says anything of a vendor.",
    damaged: "This report is damaged or this browser is too old to read it (it needs DecompressionStream).",
    asked: "Asked", published: "Ended", version: "lmmbench", commit: "commit", seed: "Seed", option_order: "Option order",
    repeats: "Trials of each item", planned: "Planned asks", cost: "Cost", tokens: "Tokens in / out", stop: "Stopped by",
    damaged_records: "Damaged journal records", plan_sha: "SHA-256 of the plan", run_sha: "SHA-256 of run.json",
    sampling: "Sampling", alarm: "Alarm", unknown: "not known", complete: "all was asked",
    models: "Models", packs: "Packs", model: "Model", vendor: "Vendor", region: "Region", served: "Served as",
    coverage: "Coverage", statuses: "Asks by status", options: "Options", verified: "Endpoint verified", stopped: "stopped",
    pack: "Pack", pack_title: "Title", pack_version: "Version", items: "Items", chance: "Chance", scorer: "Scorer", licence: "Licence", sha: "SHA-256",
    prompts: "Prompts", prompt_all: "all other types", system: "system", user: "user", sent: "Sent", dropped: "Dropped",
    reference: "reference", overseas: "overseas", domestic: "domestic", sim: "simulated",
    matrix: "Strengths and weaknesses",
    matrix_help: "Each cell: the mean score from 0 to 100, its 95 % interval as a bar and in numbers, and n, how many answers were scored. The dashed line is what guessing scores. A column with + opens into its strata; a cell opens into all its numbers.",
    no_labels: "No cell carries a label such as strength or weakness: labels need at least three models that are not reference models, with coverage of 90 % or more in the cell.",
    field: "Models in comparison", references: "Reference models: the floor and proof of the path, never compared or labelled",
    not_measured: "not measured", coverage_short: "covered", close: "Close", show_items: "Show these items",
    open_strata: "Show the strata of", close_strata: "Hide the strata of", sort_by: "Sort by",
    conduct: "Conduct, speed and cost",
    conduct_help: "Shares are of the scored answers, with Wilson's 95 % interval by clusters. Latency and cost are this run's own and have no interval: latency is of answers that came over a wire; cost is of answers whose price is known. – is not known or not measured, never 0.",
    refused_rate: "Refused", truncated_rate: "Truncated", parsed_rate: "Parsed", latency_p50: "Latency p50, s",
    latency_p95: "Latency p95, s", tokens_per_s: "Tokens/s", cost_per_1k: "$ per 1,000 items", hangul_per_token: "Hangul per input token",
    cached_share: "Input from cache", copied: "copied", copy_rate: "Copied from the document",
    mean: "Mean", interval: "95 % interval", n: "Scored / planned", clusters: "Clusters", method: "Interval by",
    diff: "Against the others, same items", p: "p", p_adj: "p after Holm", profile_diff: "Against its own profile (no interval)", label: "Label",
    items_title: "Items and answers", any: "any", all_packs: "all packs", all_strata: "all strata", any_model: "any model",
    stratum: "Stratum", status: "Status", reading: "How it was read", fault: "Fault", score: "Score",
    score_full: "full marks", score_part: "in between", score_zero: "0", score_none: "no score (null)", score_differ: "models differ",
    search: "Search", search_hint: "id, question, answer, error", reset: "Clear filters",
    found: (n, all) => `${n} of ${all} items`, page: "Page", of: "of", previous: "Previous", next: "Next",
    item: "Item", question: "Question", mean_score: "Mean", spread: "Spread", none_found: "No item matches.",
    gold: "gold", shown: "Options as shown", as_written: "Options as written (this item was shown to nobody)", targets: "Gold answers",
    trial: "Trial", media: "Media", claim: "Claim", attestation: "evidence", cluster: "cluster", type: "type", tags: "tags",
    parsed: "Parsed", not_parsed: "nothing", attempts: "Attempts", maybe_billed: "may be billed more than once", latency: "Latency",
    first_token: "first token", tokens_of: "Tokens in · out · of it reasoning · cached", metric: "Metric", finish: "Finish",
    more: "More", about_item: "About this item", show_all: (n) => `Show all ${n} characters`, empty: "(empty text)", no_answer: "No answer", aux: "Details of the score",
    notes: "How to read this",
    notes_text: [
      ["–", "Not measured: no answer was scored in this cell. What kept it from that is written below the dash. It is never a 0."],
      ["▲ ▼ ＝", "strength, weakness, even: against the mean of the other models on the same items, after correction for all cells at once."],
      ["◇ ? ⊟", "thin: too few scored answers or too many cut ones to say more. unclear: measured, and neither a difference nor its absence is shown. saturated: the cell is too easy or too hard to tell models apart."],
      ["coverage", "Scored of planned, without what a model cannot take. What is missing is missing, not wrong."],
      ["⟦U+202E⟧", "Control, direction and other invisible characters in a model's text are shown by their numbers and do nothing."],
    ],
    status_words: {},
    label_words: {},
  },
  ko: {
    skip_link: "표로 건너뛰기", title: "벤치마크 보고서", language: "언어", theme: "색",
    theme_auto: "시스템 설정", theme_light: "밝게", theme_dark: "어둡게",
    simulated: "시뮬레이션: sim-* 모델의 답은 시험용 서버가 지어낸 것입니다. 어떤 회사의 모델에도 묻지 않았으며, 여기의 수치는 어떤 회사에 대해서도 아무것도 말해 주지 않습니다.",
    damaged: "보고서가 손상되었거나 브라우저가 너무 오래되어 읽을 수 없습니다 (DecompressionStream 필요).",
    asked: "질의 시작", published: "종료", version: "lmmbench", commit: "커밋", seed: "시드", option_order: "보기 순서",
    repeats: "문항당 시행", planned: "계획된 질의", cost: "비용", tokens: "토큰 입력 / 출력", stop: "중단 이유",
    damaged_records: "손상된 기록", plan_sha: "계획의 SHA-256", run_sha: "run.json의 SHA-256",
    sampling: "생성 설정", alarm: "경보", unknown: "알 수 없음", complete: "모두 질의함",
    models: "모델", packs: "문제집", model: "모델", vendor: "기업", region: "지역", served: "실제 응답 모델",
    coverage: "채점률", statuses: "상태별 질의", options: "설정", verified: "엔드포인트 확인일", stopped: "중단됨",
    pack: "문제집", pack_title: "제목", pack_version: "판", items: "문항", chance: "찍기 점수", scorer: "채점기", licence: "라이선스", sha: "SHA-256",
    prompts: "프롬프트", prompt_all: "그 밖의 모든 유형", system: "시스템", user: "사용자", sent: "보낸 설정", dropped: "보내지 못한 설정",
    reference: "기준", overseas: "해외", domestic: "국내", sim: "시뮬레이션",
    matrix: "강점과 과제",
    matrix_help: "칸마다 평균 점수(0–100), 막대와 숫자로 적은 95 % 신뢰구간, n(채점된 답의 수)이 있습니다. 점선은 찍었을 때의 점수입니다. +가 있는 열은 세부 영역으로 펼쳐지고, 칸을 누르면 모든 수치가 나옵니다.",
    no_labels: "강점·과제 같은 판정이 붙은 칸이 없습니다. 판정에는 그 칸의 채점률이 90 % 이상인, 기준 모델이 아닌 모델이 셋 이상 필요합니다.",
    field: "비교 대상 모델", references: "기준 모델: 바닥값과 동작 확인용이며, 비교하거나 판정하지 않습니다",
    not_measured: "측정 안 됨", coverage_short: "채점", close: "닫기", show_items: "이 칸의 문항 보기",
    open_strata: "세부 영역 펼치기:", close_strata: "세부 영역 접기:", sort_by: "정렬:",
    conduct: "응답 태도, 속도, 비용",
    conduct_help: "비율은 채점된 답을 기준으로 하며, 군집 수로 본 Wilson 95 % 신뢰구간을 붙였습니다. 지연 시간과 비용은 이번 실행의 값이라 구간이 없습니다. 지연 시간은 실제로 전송된 답의 것이고, 비용은 가격을 아는 답의 것입니다. –는 모르거나 측정되지 않았다는 뜻이며 0이 아닙니다.",
    refused_rate: "거부", truncated_rate: "잘림", parsed_rate: "해석됨", latency_p50: "지연 p50, 초",
    latency_p95: "지연 p95, 초", tokens_per_s: "토큰/초", cost_per_1k: "1,000문항당 $", hangul_per_token: "입력 토큰당 한글",
    cached_share: "캐시에서 나온 입력", copied: "베낌", copy_rate: "글에서 베낀 비율",
    mean: "평균", interval: "95 % 신뢰구간", n: "채점 / 계획", clusters: "군집", method: "구간 방법",
    diff: "같은 문항에서 다른 모델들과의 차", p: "p", p_adj: "p (Holm 보정)", profile_diff: "자기 평균 대비 (구간 없음)", label: "판정",
    items_title: "문항과 답", any: "전체", all_packs: "모든 문제집", all_strata: "모든 영역", any_model: "아무 모델",
    stratum: "영역", status: "상태", reading: "답의 해석", fault: "장애", score: "점수",
    score_full: "만점", score_part: "부분 점수", score_zero: "0점", score_none: "점수 없음 (null)", score_differ: "모델끼리 다름",
    search: "찾기", search_hint: "문항 번호, 질문, 답, 오류", reset: "조건 지우기",
    found: (n, all) => `전체 ${all}문항 중 ${n}문항`, page: "쪽", of: "/", previous: "이전", next: "다음",
    item: "문항", question: "질문", mean_score: "평균", spread: "차이", none_found: "맞는 문항이 없습니다.",
    gold: "정답", shown: "제시된 보기", as_written: "원래 순서의 보기 (아무 모델에도 제시되지 않음)", targets: "정답",
    trial: "시행", media: "첨부", claim: "근거 주장", attestation: "근거", cluster: "군집", type: "유형", tags: "태그",
    parsed: "해석", not_parsed: "없음", attempts: "시도", maybe_billed: "두 번 이상 과금되었을 수 있음", latency: "지연",
    first_token: "첫 토큰", tokens_of: "토큰 입력 · 출력 · 그중 추론 · 캐시", metric: "지표", finish: "종료 사유",
    more: "더 보기", about_item: "이 문항에 대하여", show_all: (n) => `${n}자 모두 보기`, empty: "(빈 글)", no_answer: "답 없음", aux: "점수 내역",
    notes: "읽는 법",
    notes_text: [
      ["–", "측정 안 됨: 이 칸에는 채점된 답이 없습니다. 이유는 줄 아래에 적혀 있습니다. 0점이 아닙니다."],
      ["▲ ▼ ＝", "강점, 과제, 대등: 같은 문항에서 다른 모델들의 평균과 견주고, 모든 칸을 한꺼번에 보정한 판정입니다."],
      ["◇ ? ⊟", "표본 부족: 채점된 답이 너무 적거나 잘린 답이 많습니다. 불분명: 측정했으나 차이가 있다고도 없다고도 할 수 없습니다. 포화: 너무 쉽거나 어려워 모델을 가를 수 없습니다."],
      ["채점률", "모델이 받을 수 없는 문항을 뺀 계획 대비 채점된 비율입니다. 빠진 것은 틀린 것이 아닙니다."],
      ["⟦U+202E⟧", "모델의 글에 든 제어 문자, 방향 문자, 보이지 않는 문자는 번호로 보이며 아무 작용도 하지 않습니다."],
    ],
    status_words: { ok: "응답", truncated: "잘림", refused: "거부", invalid: "무효", error: "오류", unsupported: "지원 안 함", skipped: "건너뜀" },
    label_words: { strength: "강점", weakness: "과제", even: "대등", saturated: "포화", thin: "표본 부족", unclear: "불분명" },
  },
};
const LABEL_SIGNS = { strength: "▲", weakness: "▼", even: "＝", saturated: "⊟", thin: "◇", unclear: "?" };
const STATUSES = ["ok", "truncated", "refused", "invalid", "error", "unsupported", "skipped"];

// --- text that does nothing --------------------------------------------------------------------------

const HIDDEN = /[^\P{Cc}\n\t]|[^\P{Cf}\u200d]|\p{Cs}|\p{Co}|[\u2028\u2029\u115f\u1160\u3164\uffa0]/gu;

/** Control, format and bidi characters, lone surrogates and blank letters by their numbers; an emoji's joiner may stay. */
function visible(text) {
  return text.replace(HIDDEN, (sign) => `⟦U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟧`);
}

/** An element. Children that are no nodes become text, and text is made visible; `on…` is a listener. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : visible(String(value)));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(visible(String(child))));
  }
  return node;
}

const SHOWN_AT_ONCE = 4000;

/** A text of any length: its start, and the rest on demand. */
function long(text, attributes = {}) {
  const box = el("div", { class: "text", dir: "auto", ...attributes });
  if (text.length <= SHOWN_AT_ONCE) box.append(visible(text));
  else {
    const start = text.slice(0, SHOWN_AT_ONCE).replace(/[\ud800-\udbff]$/, "");
    const more = el("button", { class: "more", onclick: () => box.replaceChildren(visible(text)) }, word("show_all")(count(text.length)));
    box.append(visible(start), "… ", more);
  }
  return box;
}

// --- numbers ------------------------------------------------------------------------------------------

const NONE = "–";
const known = (value) => value !== null && value !== undefined;
const count = (n) => (known(n) ? n.toLocaleString("en-US") : NONE);
const fixed = (value, digits) => (known(value) ? value.toFixed(digits) : NONE);
const points = (share) => (known(share) ? (100 * share).toFixed(1) : NONE);
const signed = (share) => (known(share) ? (share >= 0 ? "+" : "−") + Math.abs(100 * share).toFixed(1) : NONE);
const range = (low, high, form) => (known(low) && known(high) ? `[${form(low)}, ${form(high)}]` : NONE);
// rounded down: what is not whole never looks whole
const percent = (share) => (known(share) ? `${Math.floor(100 * share + 1e-9)} %` : NONE);
const dollars = (usd) => (known(usd) ? `$${usd >= 1 || usd === 0 ? usd.toFixed(2) : usd.toPrecision(3)}` : NONE);
const chance = (value) => (typeof value === "number" ? points(value) : (value ?? NONE));
const short = (sha) => (sha ? el("code", { title: sha }, sha.slice(0, 12)) : NONE);
const compact = (value) => (known(value) && Object.keys(value).length ? JSON.stringify(value) : NONE);

// --- the data -----------------------------------------------------------------------------------------

let data, items, models;
const state = {
  lang: document.documentElement.lang, theme: "auto", open: new Set(), cell: null,
  sort: { matrix: ["", 1], conduct: ["", 1], items: ["", 1] },
  filter: {}, page: 0, opened: new Map(),
};
const word = (key) => WORDS[state.lang][key];
const statusWord = (status) => word("status_words")[status] ?? status;
const labelWord = (label) => word("label_words")[label] ?? label;

async function unpack() {
  const packed = atob(document.getElementById("data").textContent);
  const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

/** A column as a function of the row's place. */
const column = (packed) => (packed.at ? (row) => packed.of[packed.at[row]] : (row) => packed.is[row]);
const columns = (packed) => Object.fromEntries(Object.entries(packed).map(([name, values]) => [name, column(values)]));

function prepare(read) {
  data = read;
  items = { ...columns(data.items), size: data.items.question.is.length };
  models = data.models.map((model) => {
    const packed = data.rows[model.id];
    const rows = { ...columns(packed), size: packed.item.is.length };
    return { ...model, rows, of: rowsOfItems(rows), scores: null };
  });
  for (const model of models) model.scores = itemScores(model);
  data.at = new Map(data.matrix.map((cell) => [`${cell.model}:${cell.cell}`, cell]));
  data.packOf = new Map(data.packs.map((pack) => [pack.id, pack]));
  data.facts = cellFacts();
}

function rowsOfItems(rows) {
  const of = Array.from({ length: items.size }, () => []);
  for (let row = 0; row < rows.size; row++) of[rows.item(row)].push(row);
  return of;
}

/** A model's mean score of each item over its trials; NaN where none was scored. */
function itemScores(model) {
  const sum = new Float64Array(items.size), n = new Float64Array(items.size);
  for (let row = 0; row < model.rows.size; row++) {
    const score = model.rows.score(row), item = model.rows.item(row);
    if (score !== null) { sum[item] += score; n[item] += 1; }
  }
  return sum.map((total, item) => (n[item] ? total / n[item] : NaN));
}

const cellsOf = (item) => [items.pack(item), `${items.pack(item)}/${items.stratum(item)}`];

/** Of each (model, cell): its asks by status, and what guessing scores on the items that were scored. */
function cellFacts() {
  const facts = new Map();
  for (const { id, rows } of models) {
    for (let row = 0; row < rows.size; row++) {
      const item = rows.item(row), status = rows.status(row);
      for (const cell of cellsOf(item)) {
        const key = `${id}:${cell}`;
        if (!facts.has(key)) facts.set(key, { statuses: {}, guessed: 0, scored: 0 });
        const fact = facts.get(key);
        fact.statuses[status] = (fact.statuses[status] ?? 0) + 1;
        if (rows.score(row) !== null) { fact.guessed += items.chance(item) ?? 0; fact.scored += 1; }
      }
    }
  }
  return facts;
}

const statusesAt = (model, cell) => statusList(data.facts.get(`${model}:${cell}`)?.statuses);
const chanceAt = (model, cell) => {
  const fact = data.facts.get(`${model}:${cell}`);
  return fact?.scored ? fact.guessed / fact.scored : null;
};

// --- pieces that several sections use -----------------------------------------------------------------

/** Put nodes into a section; the focus stays on the control that was used. */
function draw(id, ...nodes) {
  const box = document.getElementById(id), key = document.activeElement?.dataset?.key;
  box.replaceChildren(...nodes.flat().filter(Boolean));
  if (key) box.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

const heading = (key) => el("h2", {}, word(key));
const scroller = (label, table) => el("div", { class: "scroll", role: "region", "aria-label": label, tabindex: 0 }, table);
const pairs = (rows) => el("dl", {}, rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
const simulated = (model) => data.run.simulated && model.id.startsWith("sim-");

function badges(model) {
  return [
    model.region === "reference" && [" ", el("span", { class: "badge" }, word("reference"))],
    simulated(model) && [" ", el("span", { class: "badge warn" }, word("sim"))],
  ];
}

const modelHead = (model) => el("th", { scope: "row" }, el("span", { class: "name" }, model.id), badges(model));

/** A column header that sorts: first the way that is most asked for, then the other, then the plan's order again. */
function sortHead(table, key, title, first = -1, ...more) {
  const [now, way] = state.sort[table];
  const sorted = now === key ? (way > 0 ? "ascending" : "descending") : "none";
  const sign = { ascending: "▲", descending: "▼", none: "↕" }[sorted];
  const turn = () => {
    state.sort[table] = now !== key ? [key, first] : way === first ? [key, -first] : ["", 1];
    if (table === "items") { state.page = 0; arrange(); }
    DRAW[table]();
  };
  const button = el(
    "button", { class: "sort", "data-key": `${table}:${key}`, "aria-label": `${word("sort_by")} ${title}`, onclick: turn },
    title, el("span", { class: "sign", "aria-hidden": "true" }, ` ${sign}`),
  );
  return el("th", { scope: "col", "aria-sort": sorted }, button, more);
}

/** Rows in the order of `value`; what has none stays last, both ways. Ties keep the plan's order. */
function sorted(rows, value, way) {
  const missing = (x) => x === null || x === undefined || Number.isNaN(x);
  const keyed = rows.map((row, place) => ({ row, place, at: value(row) }));
  keyed.sort((a, b) => {
    if (missing(a.at) || missing(b.at)) return missing(a.at) - missing(b.at) || a.place - b.place;
    return (a.at < b.at ? -1 : a.at > b.at ? 1 : 0) * way || a.place - b.place;
  });
  return keyed.map(({ row }) => row);
}

const statusList = (counts) =>
  STATUSES.filter((status) => counts?.[status]).map((status) => `${statusWord(status)} ${count(counts[status])}`).join(" · ");

// --- head and about -----------------------------------------------------------------------------------

function drawHead() {
  document.documentElement.lang = state.lang;
  document.title = `${data.run.simulated ? "SIMULATED " : ""}${data.run.run_id} · lmmbench`;
  const banner = document.getElementById("banner");
  banner.hidden = !data.run.simulated;
  banner.textContent = word("simulated");
  document.querySelector(".skip").textContent = word("skip_link");
  draw("head", el("h1", {}, word("title"), " ", el("code", {}, data.run.run_id)), switches());
}

function switches() {
  const choice = (key, title, now, options, act) => {
    const select = el(
      "select", { "data-key": key, onchange: (event) => act(event.target.value) },
      options.map(([value, name]) => el("option", { value, selected: value === now, lang: key === "lang" ? value : null }, name)),
    );
    return el("label", {}, title, " ", select);
  };
  const themes = ["auto", "light", "dark"].map((theme) => [theme, word(`theme_${theme}`)]);
  return el(
    "div", { class: "switches" },
    choice("lang", word("language"), state.lang, [["en", "English"], ["ko", "한국어"]], (lang) => { state.lang = lang; drawAll(); }),
    choice("theme", word("theme"), state.theme, themes, (theme) => {
      state.theme = theme;
      document.documentElement.dataset.theme = theme;
    }),
  );
}

function drawAbout() {
  const run = data.run;
  const total = models.reduce((sum, m) => sum + m.rows.size, 0);
  const scored = data.matrix.filter((c) => c.kind === "pack").reduce((sum, c) => sum + c.n_scored, 0);
  const able = total - (run.by_status?.unsupported ?? 0);
  const when = (date) => (date ? date.replace("T", " ").replace(/(\.\d+)?\+00:00$/, " UTC") : NONE);
  draw(
    "about",
    pairs([
      [word("asked"), when(run.created_at)], [word("published"), when(run.ended_at)],
      [word("version"), [run.harness_version, run.git_sha ? [` · ${word("commit")} `, short(run.git_sha)] : ""]],
      [word("seed"), run.seed], [word("option_order"), run.option_order], [word("repeats"), run.repeats],
      [word("planned"), `${count(run.planned)} (${statusList(run.by_status)})`],
      [word("coverage"), able ? `${percent(scored / able)} (${count(scored)} / ${count(able)})` : NONE],
      [word("cost"), known(run.cost_usd) ? dollars(run.cost_usd) : word("unknown")],
      [word("tokens"), `${count(run.tokens?.input)} / ${count(run.tokens?.output)}`],
      [word("stop"), stoppedBy(run)],
      run.damaged_records ? [word("damaged_records"), run.damaged_records] : null,
      run.sampling_policy ? [word("sampling"), run.sampling_policy] : null,
      ...(run.alarms ?? []).map((alarm) => [word("alarm"), `${alarm.model}: ${alarm.text}`]),
      [word("plan_sha"), short(run.plan_sha)], [word("run_sha"), short(run.run_json_sha256)],
    ].filter(Boolean)),
    el("details", { open: true }, el("summary", {}, word("models")), scroller(word("models"), modelTable())),
    el("details", { open: true }, el("summary", {}, word("packs")), scroller(word("packs"), packTable())),
    el("details", {}, el("summary", {}, word("prompts")), data.packs.map(promptsOf)),
  );
}

/** Who answered, with the number of answers where it was more than one. */
function servedBy(model) {
  const served = Object.entries(model.served_models ?? {});
  return served.map(([name, n]) => (served.length > 1 ? `${name} × ${count(n)}` : name)).join(", ") || model.name;
}

/** Why not all was asked: the run's own reason, or the models that were stopped. */
function stoppedBy(run) {
  const stopped = models.filter((model) => model.stopped).map((model) => model.id);
  return run.stop_reason || stopped.join(", ") || (run.by_status?.skipped ? NONE : word("complete"));
}

const headRow = (keys) => el("thead", {}, el("tr", {}, keys.map((key) => el("th", { scope: "col" }, word(key)))));

function modelTable() {
  const keys = ["model", "vendor", "region", "served", "verified", "coverage", "statuses", "options", "sent", "dropped"];
  const rows = models.map((model) => el(
    "tr", {}, modelHead(model), el("td", {}, model.vendor, " · ", model.family), el("td", {}, word(model.region) ?? model.region),
    el("td", {}, servedBy(model)), el("td", {}, model.verified),
    el("td", { class: "number" }, percent(model.coverage)),
    el("td", { class: "wide" }, statusList(model.by_status), model.stopped && ` · ${word("stopped")}: ${model.stopped}`),
    el("td", {}, el("code", {}, compact(model.options))),
    ["sent_json", "dropped_json"].map((name) => el("td", {}, el("code", {}, distinct(model, name)))),
  ));
  return el("table", {}, headRow(keys), el("tbody", {}, rows));
}

/** The settings that a model's asks were sent with, each named once; a seed that differs by trial is left out. */
function distinct(model, name) {
  const seen = new Set();
  const packed = data.rows[model.id][name];
  for (const text of packed.of ?? packed.is) {
    const settings = JSON.parse(text || "{}");
    if (data.run.repeats > 1) delete settings.seed;
    if (Object.keys(settings).length) seen.add(JSON.stringify(settings));
  }
  return [...seen].slice(0, 5).join("\n") + (seen.size > 5 ? "\n…" : "") || NONE;
}

function packTable() {
  const keys = ["pack", "pack_title", "pack_version", "sha", "items", "chance", "scorer", "licence"];
  const rows = data.packs.map((pack) => el(
    "tr", {}, el("th", { scope: "row" }, pack.id), el("td", { lang: language(pack) }, pack.title), el("td", {}, pack.version),
    el("td", {}, short(pack.sha)), el("td", { class: "number" }, count(pack.items)), el("td", {}, chance(pack.chance)),
    el("td", {}, pack.scorers.map((s) => (s.type ? `${s.type}: ${s.name}` : s.name)).join(" · ")), el("td", {}, pack.licence),
  ));
  return el("table", {}, headRow(keys), el("tbody", {}, rows));
}

const language = (pack) => (pack?.languages?.length === 1 ? pack.languages[0] : null);

function promptsOf(pack) {
  const one = (prompt) => el(
    "div", { class: "prompt", lang: language(pack) }, el("h4", { lang: state.lang }, prompt.type || word("prompt_all")),
    pairs([[word("system"), long(prompt.system ?? "")], [word("user"), long(prompt.user ?? "")]]),
  );
  return el("div", {}, el("h3", {}, pack.id), pack.prompts.map(one));
}

// --- the matrix ---------------------------------------------------------------------------------------

const cellAt = (model, cell) => data.at.get(`${model.id}:${cell}`);

function cellNames() {
  const strata = (pack) => data.matrix.filter((c) => c.kind === "stratum" && c.cell.startsWith(`${pack}/`)).map((c) => c.cell);
  return data.packs.flatMap((pack) => [pack.id, ...(state.open.has(pack.id) ? new Set(strata(pack.id)) : [])]);
}

function drawMatrix() {
  const names = cellNames();
  const [key, way] = state.sort.matrix;
  const order = (group) => (key ? sorted(group, key === "model" ? (m) => m.id : (m) => cellAt(m, key)?.mean, way) : group);
  const body = (title, group) => group.length > 0 && el(
    "tbody", {}, el("tr", { class: "group" }, el("th", { colspan: names.length + 1, scope: "rowgroup" }, el("span", {}, title))),
    order(group).map((model) => el("tr", {}, modelHead(model), names.map((name) => matrixCell(model, name)))),
  );
  const head = el("tr", {}, sortHead("matrix", "model", word("model"), 1), names.map(cellHead));
  const table = el(
    "table", { class: "heat" }, el("thead", {}, head), body(word("field"), models.filter((m) => m.region !== "reference")),
    body(word("references"), models.filter((m) => m.region === "reference")),
  );
  const labelled = data.matrix.some((cell) => cell.label);
  draw(
    "matrix", heading("matrix"), el("p", { class: "help" }, word("matrix_help")), !labelled && el("p", { class: "help" }, word("no_labels")),
    scroller(word("matrix"), table), data.evidence[state.lang].map((line) => el("p", { class: "help evidence" }, line)),
    state.cell && cellPanel(...state.cell),
  );
}

function cellHead(name) {
  const [pack, stratum] = name.split("/");
  if (stratum) return sortHead("matrix", name, `${pack}/ ${stratum}`);
  const open = state.open.has(pack);
  const turn = () => {
    if (open) state.open.delete(pack);
    else state.open.add(pack);
    drawMatrix();
  };
  const attributes = {
    class: "expand", "data-key": `expand:${pack}`, "aria-expanded": String(open), onclick: turn,
    "aria-label": `${word(open ? "close_strata" : "open_strata")} ${pack}`,
  };
  return sortHead("matrix", name, pack, -1, el("button", attributes, open ? "−" : "+"));
}

function matrixCell(model, name) {
  const cell = cellAt(model, name);
  const key = `${model.id}:${name}`;
  const turn = () => { state.cell = state.cell?.join(":") === key ? null : [model.id, name]; drawMatrix(); };
  const open = state.cell?.join(":") === key;
  const attributes = { class: "cell", "data-key": `cell:${key}`, "aria-expanded": String(open), onclick: turn };
  if (!known(cell?.mean)) {
    const why = statusesAt(model.id, name);
    return el("td", { class: "none" }, el("button", attributes, el("b", {}, NONE), el("small", {}, word("not_measured"), why && `: ${why}`)));
  }
  const coverage = cell.coverage < 1 && el("small", { class: "part" }, `${percent(cell.coverage)} ${word("coverage_short")}`);
  const copied = known(cell.copy_rate) && el("small", {}, `${word("copied")} ${percent(cell.copy_rate)}`);
  const label = cell.label && el("span", { class: `label ${cell.label}` }, `${LABEL_SIGNS[cell.label] ?? ""} ${labelWord(cell.label)}`);
  const td = el(
    "td", { class: "measured" },
    el("button", attributes, el("b", {}, points(cell.mean)), label, bar(cell), el("small", {}, range(cell.ci_low, cell.ci_high, points)),
      el("small", {}, `n=${count(cell.n_scored)}`), copied, coverage),
  );
  td.style.setProperty("--heat", `${Math.round(100 * cell.mean)}%`);
  return td;
}

/** The interval on a line from 0 to 100, with its mean, and what guessing scores. */
function bar(cell) {
  const box = el("span", { class: "bar", "aria-hidden": "true" });
  const mark = (kind, left, right) => {
    const part = el("span", { class: kind });
    part.style.left = `${100 * left}%`;
    if (known(right)) part.style.width = `${100 * (right - left)}%`;
    box.append(part);
  };
  if (chanceAt(cell.model, cell.cell) > 0) mark("chance", chanceAt(cell.model, cell.cell));
  if (known(cell.ci_low)) mark("interval", cell.ci_low, cell.ci_high);
  mark("mean", cell.mean);
  return box;
}

const share = (value) => (known(value) ? `${points(value)} %` : NONE);
const CONDUCT = {
  refused_rate: share, truncated_rate: share, parsed_rate: share, latency_p50: (v) => fixed(v, 2), latency_p95: (v) => fixed(v, 2),
  cached_share: share,
  tokens_per_s: (v) => fixed(v, 1), cost_per_1k: dollars, hangul_per_token: (v) => fixed(v, 2),
};

/** Wilson's 95 % interval of a share, clusters as the count (lmmbench/stats.py has the source); nothing for other numbers. */
function rateRange(cell, name) {
  if (!name.endsWith("_rate") || !known(cell[name])) return null;
  const n = cell.clusters, p = cell[name], z = 1.959963984540054;
  const centre = p + (z * z) / (2 * n), half = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n)), scale = 1 + (z * z) / n;
  return el("small", {}, range(Math.max(0, (centre - half) / scale), Math.min(1, (centre + half) / scale), points));
}

/** All numbers of one cell, and the way to its items. */
function cellPanel(modelId, name) {
  const model = models.find((m) => m.id === modelId);
  const cell = cellAt(model, name) ?? {};
  const close = () => { state.cell = null; drawMatrix(); };
  const rows = [
    [word("mean"), points(cell.mean)], [word("interval"), range(cell.ci_low, cell.ci_high, points)],
    [word("n"), `${count(cell.n_scored)} / ${count(cell.n_planned)}`], [word("coverage"), percent(cell.coverage)],
    [word("statuses"), statusesAt(modelId, name) || NONE],
    [word("clusters"), count(cell.clusters)], [word("method"), cell.method ?? NONE], [word("chance"), points(chanceAt(modelId, name))],
    [word("label"), cell.label ? labelWord(cell.label) : NONE],
    [word("diff"), known(cell.diff) ? `${signed(cell.diff)} ${range(cell.diff_low, cell.diff_high, signed)}` : NONE],
    [word("p"), known(cell.p) ? cell.p.toPrecision(3) : NONE], [word("p_adj"), known(cell.p_adj) ? cell.p_adj.toPrecision(3) : NONE],
    [word("profile_diff"), signed(cell.profile_diff)], [word("copy_rate"), percent(cell.copy_rate)], ...Object.entries(CONDUCT).map(([key, form]) => [word(key), form(cell[key])]),
  ];
  return el(
    "div", { class: "panel", role: "region", "aria-label": `${modelId}, ${name}` },
    el("h3", {}, modelId, " · ", name, badges(model)), pairs(rows),
    el("button", { "data-key": "panel:items", onclick: () => showItems(modelId, name) }, word("show_items")), " ",
    el("button", { "data-key": "panel:close", onclick: close }, word("close")),
  );
}

// --- conduct, speed and cost --------------------------------------------------------------------------

function drawConduct() {
  const [key, way] = state.sort.conduct;
  const cells = data.matrix.filter((cell) => cell.kind === "pack");
  const value = key === "model" ? (c) => c.model : key === "pack" ? (c) => c.cell : (c) => c[key];
  const of = new Map(models.map((model) => [model.id, model]));
  const row = (cell) => el(
    "tr", {}, modelHead(of.get(cell.model)), el("td", {}, cell.cell),
    Object.entries(CONDUCT).map(([name, form]) => el("td", { class: "number" }, form(cell[name]), rateRange(cell, name))),
  );
  const head = [
    sortHead("conduct", "model", word("model"), 1), sortHead("conduct", "pack", word("pack"), 1),
    ...Object.keys(CONDUCT).map((name) => sortHead("conduct", name, word(name))),
  ];
  const table = el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, (key ? sorted(cells, value, way) : cells).map(row)));
  draw("conduct", heading("conduct"), el("p", { class: "help" }, word("conduct_help")), scroller(word("conduct"), table));
}

// --- tables that are drawn as the terminal has them ----------------------------------------------------

function drawTables() {
  const cell = (text, place, keys) => el(place < keys ? "th" : "td", { class: "lines", scope: place < keys ? "row" : null }, text);
  const one = ({ title, note, keys, header, rows }) => {
    const head = el("tr", {}, header.map((text) => el("th", { scope: "col" }, text)));
    const body = rows.map((row) => el("tr", {}, row.map((text, place) => cell(text, place, keys))));
    return [
      el("h2", {}, title), el("p", { class: "help" }, note),
      scroller(title, el("table", {}, el("thead", {}, head), el("tbody", {}, body))),
    ];
  };
  draw("tables", ...data.tables[state.lang].map(one));
}

// --- the items: which, and in which order -------------------------------------------------------------

const PAGE = 50;
let order = [];

const SCORE_TESTS = {
  score_full: (score) => score === 1, score_part: (score) => score !== null && score > 0 && score < 1,
  score_zero: (score) => score === 0, score_none: (score) => score === null,
};
const itemSpread = (item) => {
  const got = models.map((model) => model.scores[item]).filter((score) => !Number.isNaN(score));
  return got.length > 1 ? Math.max(...got) - Math.min(...got) : NaN;
};
const itemMean = (item) => {
  const got = models.map((model) => model.scores[item]).filter((score) => !Number.isNaN(score));
  return got.length ? got.reduce((a, b) => a + b) / got.length : NaN;
};
const folded = (text) => text.normalize("NFC").toLowerCase();
const contains = (text, needle) => known(text) && folded(text).includes(needle);

/** The items that the filters leave. A row's filters hold for one and the same answer. */
function chosen() {
  const { pack, stratum, score, text, model } = state.filter;
  const needle = folded(text ?? "");
  const among = model ? models.filter((m) => m.id === model) : models;
  const found = [];
  for (let item = 0; item < items.size; item++) {
    if (pack && items.pack(item) !== pack) continue;
    if (stratum && items.stratum(item) !== stratum) continue;
    if (score === "score_differ" && !(itemSpread(item) > 0)) continue;
    const asked = !needle || contains(items.item_id(item), needle) || items.question(item).some((part) => contains(part, needle)) ||
      items.options(item).some((option) => contains(option, needle));
    if (among.some((m) => m.of[item].some((row) => rowMatches(m.rows, row, asked ? "" : needle)))) found.push(item);
  }
  return found;
}

function rowMatches(rows, row, needle) {
  const { status, score } = state.filter;
  if (status) {
    const cut = status.indexOf(":");
    if (rows[status.slice(0, cut)](row) !== status.slice(cut + 1)) return false;
  }
  if (score in SCORE_TESTS && !SCORE_TESTS[score](rows.score(row))) return false;
  return !needle || contains(rows.answer(row), needle) || contains(rows.error(row), needle) || contains(rows.parsed(row), needle);
}

/** Apply filters and sorting anew. */
function arrange() {
  const [key, way] = state.sort.items;
  const model = models.find((m) => `model:${m.id}` === key);
  const value = { item: items.item_id, where: (i) => cellsOf(i)[1], mean: itemMean, spread: itemSpread }[key] ?? ((i) => model.scores[i]);
  order = key ? sorted(chosen(), value, way) : chosen();
}

function filterBy(changes) {
  Object.assign(state.filter, changes);
  state.page = 0;
  arrange();
  drawList();
}

/** From a cell of the matrix to its items. */
function showItems(model, cell) {
  const [pack, stratum = ""] = cell.split("/");
  state.filter = { pack, stratum, model };
  state.page = 0;
  arrange();
  drawItems();
  document.getElementById("items").scrollIntoView();
  document.getElementById("items").focus({ preventScroll: true });
}

// --- the items: how they are shown --------------------------------------------------------------------

function drawItems() {
  draw("items", heading("items_title"), filters(), el("div", { id: "list" }));
  drawList();
}

function valuesOf(name) {
  const seen = new Set();
  for (const model of models) for (const value of data.rows[model.id][name].of ?? data.rows[model.id][name].is) seen.add(value);
  return [...seen].filter((value) => value !== null).sort();
}

function filters() {
  const strata = new Set();
  for (let item = 0; item < items.size; item++) {
    if (!state.filter.pack || items.pack(item) === state.filter.pack) strata.add(items.stratum(item));
  }
  const option = (key) => ([value, title]) => el("option", { value, selected: (state.filter[key] ?? "") === value }, title);
  const select = (key, title, none, values, act = (value) => filterBy({ [key]: value })) => el(
    "label", {}, title,
    el("select", { "data-key": `filter:${key}`, onchange: (event) => act(event.target.value) },
      option(key)(["", none]), values.map((v) => (v instanceof Node ? v : option(key)(v)))),
  );
  const group = (name, title, form = (v) => v) => {
    const values = valuesOf(name);
    return el("optgroup", { label: title }, values.map((v) => option("status")([`${name}:${v}`, form(v)])));
  };
  const same = (values) => [...values].map((value) => [value, value]);
  const scores = ["score_full", "score_part", "score_zero", "score_none", "score_differ"].map((key) => [key, word(key)]);
  let typing;
  const search = () => {
    clearTimeout(typing);
    filterBy({ text: input.value });
  };
  const input = el("input", {
    type: "search", "data-key": "filter:text", placeholder: word("search_hint"), value: state.filter.text ?? "",
    oninput: () => { clearTimeout(typing); typing = setTimeout(search, 120); },
  });
  return el(
    "form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); search(); } },
    select("pack", word("pack"), word("all_packs"), same(data.packs.map((p) => p.id)), (pack) => {
      state.filter.stratum = "";
      filterBy({ pack });
      drawItems();
    }),
    select("stratum", word("stratum"), word("all_strata"), same(strata)),
    select("model", word("model"), word("any_model"), same(models.map((m) => m.id))),
    select("status", word("status"), word("any"), [
      group("status", word("status"), statusWord), group("parse_status", word("reading")), group("error_kind", word("fault")),
    ]),
    select("score", word("score"), word("any"), scores),
    el("label", { class: "wide" }, word("search"), input),
    el("button", { type: "button", "data-key": "filter:reset", onclick: () => { state.filter = {}; filterBy({}); drawItems(); } }, word("reset")),
  );
}

function drawList() {
  const pages = Math.max(1, Math.ceil(order.length / PAGE));
  const shown = order.slice(state.page * PAGE, (state.page + 1) * PAGE);
  const head = [
    sortHead("items", "item", word("item"), 1), sortHead("items", "where", `${word("pack")} / ${word("stratum")}`, 1),
    el("th", { scope: "col" }, word("question")), sortHead("items", "mean", word("mean_score"), 1), sortHead("items", "spread", word("spread")),
    ...models.map((model) => sortHead("items", `model:${model.id}`, model.id, 1)),
  ];
  const table = el("table", { class: "items" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, shown.flatMap(itemRows)));
  draw(
    "list", el("p", { class: "found", role: "status" }, word("found")(count(order.length), count(items.size))),
    order.length ? scroller(word("items_title"), table) : el("p", {}, word("none_found")), pages > 1 && pager(pages),
  );
}

function pager(pages) {
  const go = (page) => { state.page = Math.min(pages - 1, Math.max(0, page)); drawList(); };
  const step = (key, by, off) => el("button", { "data-key": `page:${key}`, disabled: off, onclick: () => go(state.page + by) }, word(key));
  const input = el("input", {
    type: "number", min: 1, max: pages, value: state.page + 1, "data-key": "page:at", onchange: (event) => go(Number(event.target.value) - 1 || 0),
  });
  return el(
    "nav", { class: "pager", "aria-label": word("page") }, step("previous", -1, state.page === 0), el("label", {}, word("page"), " ", input),
    `${word("of")} ${count(pages)}`, step("next", 1, state.page === pages - 1),
  );
}

const score100 = (score) => (Number.isNaN(score) ? NONE : points(score));

function itemRows(item) {
  const open = state.opened.has(item);
  const turn = () => {
    if (open) state.opened.delete(item);
    else state.opened.set(item, 0);
    drawList();
  };
  const attributes = { class: "open", "data-key": `item:${item}`, "aria-expanded": String(open), onclick: turn };
  const row = el(
    "tr", {}, el("th", { scope: "row" }, el("button", attributes, open ? "▾ " : "▸ ", items.item_id(item))),
    el("td", {}, items.pack(item), el("br"), items.stratum(item)),
    el("td", { lang: language(data.packOf.get(items.pack(item))) }, el("div", { class: "excerpt" }, items.question(item)[0].slice(0, 200))),
    el("td", { class: "number" }, score100(itemMean(item))), el("td", { class: "number" }, score100(itemSpread(item))),
    models.map((model) => scoreCell(model, item)),
  );
  if (!open) return [row];
  return [row, el("tr", { class: "opened" }, el("td", { colspan: 5 + models.length }, itemDetails(item)))];
}

function scoreCell(model, item) {
  const statuses = [...new Set(model.of[item].map(model.rows.status))];
  const plain = statuses.length === 1 && statuses[0] === "ok";
  return el("td", { class: "number" }, score100(model.scores[item]), !plain && el("small", {}, statuses.map(statusWord).join(", ")));
}

function itemDetails(item) {
  const trial = state.opened.get(item);
  const pack = data.packOf.get(items.pack(item));
  const of = (model) => model.of[item].find((row) => model.rows.trial(row) === trial);
  const seen = models.find((model) => known(of(model)) && (model.rows.order_json(of(model)) ?? "[]") !== "[]");
  const written = items.options(item).map((_, place) => place + 1);
  const shown = seen ? JSON.parse(seen.rows.order_json(of(seen))) : written;
  const media = JSON.parse(items.media_json(item) || "[]");
  const about = [
    [word("type"), items.type(item)], [word("cluster"), items.cluster_id(item)], [word("attestation"), items.attestation(item) ?? NONE],
    [word("claim"), items.claim(item) || NONE], [word("tags"), items.tags(item).join(", ") || NONE],
    ...media.map((m) => [word("media"), `${m.path} (${m.mime}) ${m.sha256}`]),
  ];
  return el(
    "div", { class: "details" }, trials(item),
    el("div", { class: "question", lang: language(pack) }, question(item, shown, Boolean(seen) || !written.length)),
    el("div", { class: "answers" }, models.map((model) => answer(model, of(model), item, shown, language(pack)))),
    el("details", {}, el("summary", {}, word("about_item")), pairs(about)),
  );
}

function trials(item) {
  const all = [...new Set(models.flatMap((model) => model.of[item].map(model.rows.trial)))].sort((a, b) => a - b);
  if (all.length < 2) return null;
  const now = state.opened.get(item);
  const act = (event) => { state.opened.set(item, Number(event.target.value)); drawList(); };
  return el("label", {}, word("trial"), " ", el("select", { "data-key": `trial:${item}`, onchange: act }, all.map((t) => el("option", { value: t, selected: t === now }, t))));
}

const letter = (place) => String.fromCharCode(65 + place);

function question(item, shown, asked) {
  const [before, after = ""] = items.question(item);
  const options = items.options(item), targets = items.targets(item);
  const line = (number, place) => {
    const gold = targets.includes(String(number));
    return el("li", { class: gold ? "gold" : null }, `${letter(place)}. ${options[number - 1]}`, gold && [" ", el("span", { class: "badge", lang: state.lang }, `✓ ${word("gold")}`)]);
  };
  return [
    items.system(item) && el("p", { class: "system" }, items.system(item)), long(before.trimEnd()),
    options.length ? el("p", { class: "caption", lang: state.lang }, word(asked ? "shown" : "as_written")) : null,
    options.length ? el("ol", { class: "options" }, shown.map(line)) : null, after.trim() && long(after.trim()),
    options.length ? null : el("p", {}, el("b", { lang: state.lang }, `${word("targets")}: `), targets.join(" | ")),
  ];
}

/** One model's answer. */
function answer(model, row, item, shown, lang) {
  if (!known(row)) return el("article", {}, el("h4", {}, model.id), NONE);
  const rows = model.rows, text = rows.answer(row), status = rows.status(row), score = rows.score(row);
  const head = el(
    "h4", {}, model.id, badges(model), " ", el("span", { class: `badge status ${status}` }, statusWord(status)),
    " ", el("span", { class: "score" }, score === null ? `${word("score")} ${NONE}` : `${word("score")} ${points(score)}`),
  );
  const fault = [rows.error_kind(row), rows.error(row)].filter(Boolean).join(": ");
  return el(
    "article", { "aria-label": model.id }, head, fault && long(fault, { class: "text fault" }),
    text === null ? el("p", { class: "none" }, word("no_answer")) : text === "" ? el("p", { class: "none" }, word("empty")) : long(text, { lang }),
    pairs(factsOf(rows, row, item, shown)),
    el("details", {}, el("summary", {}, word("more")), pairs([
      [word("served"), rows.served_model(row) ?? NONE], [word("finish"), rows.finish(row) ?? NONE], [word("metric"), rows.metric_id(row) ?? NONE],
      [word("aux"), long(rows.aux_json(row) ?? NONE)], [word("sent"), rows.sent_json(row) ?? NONE], [word("dropped"), rows.dropped_json(row) ?? NONE],
    ])),
  );
}

function factsOf(rows, row, item, shown) {
  const seconds = (value) => (known(value) ? `${value.toFixed(2)} s` : NONE);
  const tokens = ["input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens"].map((name) => count(rows[name](row)));
  const first = known(rows.ttft_s(row)) ? ` (${word("first_token")} ${seconds(rows.ttft_s(row))})` : "";
  return [
    [word("parsed"), `${parsed(rows.parsed(row), item, shown)} (${[rows.parse_status(row), rows.parse_rule(row)].filter(Boolean).join(" · ") || NONE})`],
    [word("attempts"), `${count(rows.attempts(row))}${rows.maybe_billed(row) ? ` · ${word("maybe_billed")}` : ""}`],
    [word("latency"), seconds(rows.latency_s(row)) + first], [word("tokens_of"), tokens.join(" · ")], [word("cost"), dollars(rows.cost_usd(row))],
  ];
}

/** What was read out of the answer; a choice by the letter that the model saw. */
function parsed(value, item, shown) {
  if (value === null) return word("not_parsed");
  const place = shown.indexOf(Number(value));
  if (items.options(item).length && place >= 0) return `${letter(place)}. ${items.options(item)[value - 1]}`;
  return value.length > 300 ? `${value.slice(0, 300)}…` : value; // the whole answer stands above it
}

// --- the notes, and all of it -------------------------------------------------------------------------

function drawNotes() {
  draw("notes", heading("notes"), pairs(word("notes_text")));
}

const DRAW = { matrix: drawMatrix, conduct: drawConduct, items: drawList };

function drawAll() {
  for (const part of [drawHead, drawAbout, drawMatrix, drawConduct, drawTables, drawItems, drawNotes]) part();
}

async function start() {
  try {
    prepare(await unpack());
  } catch (error) {
    document.getElementById("loading").textContent = word("damaged");
    throw error;
  }
  arrange();
  document.getElementById("loading").remove();
  drawAll();
  // drawn, and able to take a click
  requestAnimationFrame(() => setTimeout(() => {
    document.documentElement.dataset.ready = "yes";
    performance.mark("ready");
  }));
}

start();
