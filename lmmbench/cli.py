"""The command line. Results go to stdout, progress and errors to stderr; an error is one sentence with the next action."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmmbench import __version__, places
from lmmbench.faults import UsageError
from lmmbench.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console

    from lmmbench.bench import Execution, Published, RunOptions
    from lmmbench.packs import Pack
    from lmmbench.plan import Plan
    from lmmbench.results import Index

EXIT_CODES = """\b
Exit codes: 0 done · 2 usage, config or pack invalid (nothing was spent)
3 coverage of a model is below the floor · 4 no model gave an answer, or the disk failed
5 the run is busy · 70 an unforeseen error · 130/143 on a signal (answers are published)"""


def run_cli(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit code. Never lets an exception become exit code 1."""
    _streams()
    debug = "--debug" in (sys.argv[1:] if argv is None else argv)
    try:
        code = cli.main(args=argv, prog_name="lmmbench", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as e:
        _say(e.format_message())
        return 2
    except SystemExit:  # click and rich leave so, with 1, when nobody reads stdout any more
        _drop(sys.stdout)
        return 0
    except click.exceptions.Abort:
        return 130
    except click.ClickException as e:
        _say(f"lmmbench: {_click_sentence(e)}")
        return 2
    except UsageError as e:
        if debug:
            traceback.print_exc()
        _say(f"lmmbench: {e}")
        return e.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop(sys.stdout)
        return 0
    except OSError as e:
        if debug:
            traceback.print_exc()
        _drop(sys.stdout)
        _say(
            f"lmmbench: {e.filename or 'the output'} cannot be written ({e.strerror}); make room, or choose another place"
        )
        return 4
    except Exception as e:
        if debug:
            traceback.print_exc()
        _say(f"lmmbench: unforeseen error: {e.__class__.__name__}: {e}; see more with --debug")
        return 70


def _click_sentence(error: click.ClickException) -> str:
    text = " ".join(error.format_message().replace("Did you mean", "did you mean").rstrip("?.").split())
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lmmbench"
    return f"{text}; see: {command} --help"


def _out(text: str) -> None:
    """Print a result. Not by click, which writes UTF-8 to a terminal that said it cannot show it."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _say(text: str) -> None:
    """Print progress or an error; a stderr that cannot be written changes no exit code."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _drop(stream: Any) -> None:
    """Let nothing more be written where nobody reads: also not at exit."""
    with contextlib.suppress(OSError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)


def _streams() -> None:
    """A terminal that cannot print Hangul shows escapes instead of a traceback; files are UTF-8 always."""
    # closed streams (`>&-`) are None: what would go there goes nowhere
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _console(stderr: bool = False, width: int | None = None) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if width is None and not stream.isatty():
        width = int(os.environ.get("COLUMNS") or 120)
    return Console(file=stream, width=width, highlight=False, safe_box=True)


# --- options that several commands share -------------------------------------------------------------


def _place_options(*names: str) -> Callable[[Any], Any]:
    options = {
        "results": click.option("--results", metavar="DIR", help="Results folder (LMMBENCH_RESULTS, else ./results)."),
        "providers": click.option("--providers", metavar="FILE", help="providers.yaml (LMMBENCH_PROVIDERS, else ./, else the shipped one)."),
        "tasks": click.option("--tasks-dir", metavar="DIR", help="Packs (LMMBENCH_TASKS, else ./tasks, else the shipped ones)."),
        "debug": click.option("--debug", is_flag=True, help="Show a traceback with an error."),
    }  # fmt: skip

    def add(command: Any) -> Any:
        for name in reversed((*names, "debug")):
            command = options[name](command)
        return command

    return add


_lang = click.option(
    "--lang", type=click.Choice(["en", "ko"]), default="en", show_default=True, help="Words of the matrix."
)


def _number(_ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """NaN and infinity would switch a cap or a floor off without a word."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no amount; write a number")
    return value


def _duration(_ctx: click.Context, _param: click.Parameter, text: str | None) -> float | None:
    """`90s`, `30m`, `2h` or `1h30m` as seconds."""
    from lmmbench.net.delay import duration

    seconds = duration(text) if text else None
    if text and not seconds:
        raise click.BadParameter(f"{text!r} is no duration; write for example 90s, 30m or 2h")
    return seconds


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.version_option(__version__, message="lmmbench %(version)s")
def cli() -> None:
    """Ask many vendors' models the same Korean-first questions, and see with honest intervals where each is strong.

    \b
    Start here, with no key and no account:
      lmmbench run --tasks korean --models smollm2-135m,baseline-chance,baseline-copy
    """


# --- run ---------------------------------------------------------------------------------------------


@cli.command(epilog=EXIT_CODES)
@click.option(
    "--tasks",
    metavar="PACKS",
    help="Packs, groups or folders, comma-separated; `korean`, `all`. See: lmmbench list tasks.",
)
@click.option(
    "--models", metavar="IDS", help="Model ids, comma-separated. Default: every model that can be asked from here."
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many items of each pack, even over its strata.")
@click.option(
    "--repeats", type=click.IntRange(min=1, max=1000), default=1, show_default=True, help="Trials of each item."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Option order; with the trial, the vendor's seed.",
)
@click.option(
    "--option-order",
    type=click.Choice(["shuffled", "given"]),
    default="shuffled",
    show_default=True,
    help="Options in an order drawn from the seed, or as written.",
)
@click.option(
    "--min-attestation",
    type=click.Choice(["page", "corpus", "lexicon", "arithmetic", "recall"]),
    help="Only items with evidence this good or better.",
)
@click.option("--run-id", metavar="ID", help="Name of the new run.")
@click.option(
    "--resume", metavar="RUN", help="Finish a run: ask what is error, invalid or skipped; never what was answered."
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1, max=10_000),
    help="Asks in flight per endpoint, instead of the endpoint's own number.",
)
@click.option("--deadline", callback=_duration, metavar="TIME", help="Stop after so long (90s, 30m, 2h).")
@click.option(
    "--min-coverage",
    callback=_number,
    type=click.FloatRange(0, 1),
    default=0.98,
    show_default=True,
    help="Below it for any model: exit code 3.",
)
@click.option(
    "--max-cost",
    callback=_number,
    type=click.FloatRange(min=0),
    metavar="USD",
    help="Hard cap; default in providers.yaml.",
)
@click.option("--allow-unknown-cost", is_flag=True, help="Ask keyed models whose price is not known.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked, and what it may cost. Sends nothing.")
@_lang
@_place_options("results", "providers", "tasks")
@click.pass_context
def run(ctx: click.Context, /, **given: Any) -> int:
    """Ask, score, publish, and print the matrix.

    \b
    lmmbench run --tasks korean                          every model that can be asked
    lmmbench run --tasks korean --limit 36 --models a,b  a quick look
    lmmbench run --resume latest                         finish what was interrupted
    """
    from lmmbench import bench

    execution = bench.Execution(
        concurrency=given["concurrency"], deadline_s=given["deadline"], min_coverage=given["min_coverage"],
        max_cost=given["max_cost"], allow_unknown_cost=given["allow_unknown_cost"], dry_run=given["dry_run"],
    )  # fmt: skip
    where = bench.places_of(given["tasks_dir"], given["providers"], given["results"])
    _say(str(where))
    explicit = {k for k in given if ctx.get_parameter_source(k) is click.core.ParameterSource.COMMANDLINE}
    if given["resume"]:
        folder, run_plan, chosen = _resumed(given, explicit, where)
    else:
        if not given["tasks"]:
            raise UsageError("--tasks names what to ask; try: lmmbench run --tasks korean")
        options = bench.RunOptions(
            given["tasks"], given["models"], given["limit"], given["repeats"], given["seed"], given["option_order"],
            given["min_attestation"],
        )  # fmt: skip
        folder, run_plan, chosen = _planned(options, given["run_id"], where, given["dry_run"])
    return _carry_out(folder, run_plan, chosen, execution, where, given["lang"], new=not given["resume"])


def _planned(
    options: RunOptions, run_id: str | None, where: places.Places, dry_run: bool
) -> tuple[Path, Plan, list[Pack]]:
    from lmmbench import bench, config, packs, plan
    from lmmbench.journal import check_free

    cfg = config.load(where.providers)
    if run_id is not None:
        config.check_id(run_id, "run")
    if run_id == "latest":
        raise UsageError("a run cannot be called 'latest', which always means the newest; choose another --run-id")
    folder = where.results / (run_id or plan.new_run_id())
    if (folder / "plan.json").exists():
        check_free(folder / "journal" / "main.jsonl")
        raise UsageError(f"the run {folder.name!r} exists; to finish it, use --resume {folder.name}")
    if folder.exists():
        raise UsageError(f"{folder} exists and is no run; remove it, or choose another --run-id")
    chosen = packs.select(options.tasks, where.tasks)
    models, skipped = bench.choose_models(options.models, cfg, keys=not dry_run)
    for name, reason in skipped.items():
        _say(f"skipped {name}: {reason}")
    run_plan = bench.make_plan(options, folder.name, models, chosen)
    run_plan.options["max_cost_usd"] = cfg.defaults.max_cost_usd  # the option, if given, takes its place
    return folder, run_plan, chosen


def _resumed(given: dict[str, Any], explicit: set[str], where: places.Places) -> tuple[Path, Plan, list[Pack]]:
    """The plan of an existing run. Options given again must agree with it."""
    from lmmbench import plan, results

    folder = places.find_run(given["resume"], where.results)
    run_plan = plan.load(folder)
    for name in explicit & {"tasks", "models", "limit", "repeats", "seed", "option_order", "min_attestation"}:
        if given[name] != run_plan.options.get(name):
            raise UsageError(
                f"--{name.replace('_', '-')} {given[name]} differs from the run's {'none' if run_plan.options.get(name) is None else run_plan.options[name]}; "
                "leave it out, or start a new run"
            )
    if "run_id" in explicit:
        raise UsageError("--run-id names a new run and --resume an old one; give one of them")
    return folder, run_plan, results.planned_packs(run_plan, where.tasks)


def _carry_out(
    folder: Path, run_plan: Plan, chosen: list[Pack], how: Execution, where: places.Places, lang: str, *, new: bool
) -> int:
    from dataclasses import replace

    from lmmbench import bench
    from lmmbench.journal import JournalError

    expected = bench.estimate(run_plan, chosen)
    _say(f"{folder.name}: {', '.join(run_plan.models)} · {bench.estimate_text(expected)}")
    if new:  # a resumed run keeps what was allowed at its start
        run_plan.options.update(max_cost_usd=_cap(how, run_plan), allow_unknown_cost=how.allow_unknown_cost)
    cap = _cap(how, run_plan)
    allowed = how.allow_unknown_cost or bool(run_plan.options.get("allow_unknown_cost"))
    if how.dry_run:
        _out(f"dry run: {bench.estimate_text(expected)}; nothing was sent")
        return 0
    bench.check_money(expected, cap, allowed)
    _check_keys(run_plan)
    bench.prepare_folder(folder, expected.disk_bytes, new=new)
    if new:
        _save_plan(run_plan, folder)
    caught, reason, found = 0, "disk", None
    try:
        reason, caught, found = bench.execute(
            folder, run_plan, chosen, replace(how, max_cost=cap), _console(stderr=True)
        )
    except JournalError as e:
        _say(f"lmmbench: {e}; free some space, then: {_resume(folder)}")
    try:
        published = _published(folder, run_plan, chosen, where, found)
    except KeyboardInterrupt:
        _say(
            f"stopped while publishing; the answers are safe in the journal, publish them with: lmmbench score {folder.name}"
        )
        return 130
    code = bench.exit_code(published, caught, reason, how.min_coverage)
    _report(published, folder, code, reason, lang)
    return code


def _cap(how: Execution, run_plan: Plan) -> float:
    """Dollars that the whole run may cost: the option's, else the plan's."""
    return how.max_cost if how.max_cost is not None else float(run_plan.options.get("max_cost_usd", 5.0))


def _resume(folder: Path) -> str:
    """The command that finishes a run, wherever its results are."""
    import shlex

    name = folder.name if folder.parent == places.results_dir(None) else shlex.quote(str(folder))
    return f"lmmbench run --resume {name}"


def _save_plan(run_plan: Plan, folder: Path) -> None:
    """The plan is on the disk before anything is asked; a folder without one is not left behind."""
    import shutil

    from lmmbench import plan

    try:
        plan.save(run_plan, folder)
    except OSError as e:
        shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(
            f"the run's folder cannot be written ({e.strerror}); free some space, or name another with --results",
            exit_code=4,
        ) from None


def _check_keys(run_plan: Plan) -> None:
    """On resume the keys come from the environment again; a missing one is said before anything is sent."""
    from lmmbench import config

    for model_id, planned in run_plan.models.items():
        if reason := config.missing(planned.model.endpoint, planned.endpoint):
            raise UsageError(f"the model {model_id!r} cannot be asked: {reason}")


def _published(
    folder: Path, run_plan: Plan, chosen: list[Pack] | None, where: places.Places, found: Index | None = None
) -> Published:
    from lmmbench import bench

    try:
        return bench.publish(folder, run_plan, chosen, where.tasks, found)
    except OSError as e:
        raise UsageError(
            f"the results cannot be written ({e.strerror}); the answers are safe in the journal: make room, then: "
            f"lmmbench score {folder.name}",
            exit_code=4,
        ) from None


def _report(published: Published, folder: Path, code: int, reason: str, lang: str) -> None:
    """The matrix and the last line on stdout; what is missing and what to do about it on stderr."""
    _print_matrix(published.cells, lang, bool(published.manifest["simulated"]))
    for model, counts in published.counts.items():
        shown = " · ".join(f"{status} {n}" for status, n in sorted(counts.items()))
        stopped = published.manifest["models"][model]["stopped"]
        _say(f"{model}: {shown}" + (f" · stopped: {visible(stopped)}" if stopped else ""))
    damaged = published.manifest["damaged_records"]
    if damaged:
        _say(f"{len(damaged)} damaged journal records were skipped, the first in {damaged[0]}; see run.json")
    if code:
        unable = all(set(c) == {"unsupported"} for c in published.counts.values())
        if unable:
            _say("no model of this run can take these questions; choose other --models or --tasks")
    if code and not unable:
        why = {3: "coverage is below the floor", 4: "no answer was got"}.get(code, reason or "stopped")
        _say(f"{why}; to ask what is left: {_resume(folder)}")
    _out(f"run: {folder}")


def _print_matrix(cells: list[dict[str, Any]], lang: str, simulated: bool) -> None:
    from lmmbench.analysis import matrix as matrices

    if lang == "ko" and not _can_print("가"):
        _say("this terminal cannot print Hangul, so the words are English; set PYTHONUTF8=1 or a UTF-8 locale")
        lang = "en"
    console = _console()
    console.print(matrices.title(lang, simulated))
    for table in matrices.tables(cells, lang, console.width):
        console.print(table)


# --- looking ------------------------------------------------------------------------------------------


@cli.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN…")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "md", "json", "csv"]),
    default="table",
    show_default=True,
    help="Table, Markdown, JSON, or CSV for spreadsheets.",
)
@_lang
@_place_options("results")
def matrix(runs: tuple[str, ...], form: str, lang: str, results: str | None, debug: bool) -> None:
    """Print the matrix of one or more runs. RUN is an id, a path, or `latest`."""
    import json

    from lmmbench.analysis import matrix as matrices

    where = places.results_dir(results)
    cells: list[dict[str, Any]] = []
    simulated = False
    for name in runs:
        folder = places.find_run(name, where)
        cells += matrices.read(folder)
        manifest = folder / "run.json"
        simulated = simulated or (manifest.is_file() and bool(json.loads(manifest.read_bytes())["simulated"]))
    if form == "table":
        _print_matrix(cells, lang, simulated)
    else:
        text = {"md": lambda: matrices.markdown(cells, lang, simulated), "json": lambda: matrices.as_json(cells), "csv": lambda: matrices.as_csv(cells)}[form]()  # fmt: skip
        _out(text)


@cli.command()
@click.argument("name", metavar="RUN")
@click.argument("item")
@_place_options("results")
def show(name: str, item: str, results: str | None, debug: bool) -> None:
    """Print one question of a run, every model's answer, what was parsed, and the score."""
    from lmmbench import show as shows

    _out(shows.item(places.find_run(name, places.results_dir(results)), item))


@cli.command("list")
@click.argument("what", type=click.Choice(["models", "tasks", "runs"]), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_place_options("results", "providers", "tasks")
def list_(
    what: str | None, as_json: bool, results: str | None, providers: str | None, tasks_dir: str | None, debug: bool
) -> None:
    """List models (with key or without), tasks, or runs."""
    if not what:
        raise UsageError("say what to list: models, tasks or runs; for example: lmmbench list models")
    import json

    from lmmbench import show as shows

    if what == "models":
        rows = shows.models(places.providers_file(providers))
        line = "{model:<24} {vendor:<12} {region:<10} verified: {verified:<11} {state}"
    elif what == "tasks":
        rows = shows.tasks(places.tasks_dir(tasks_dir))
        line = "{task:<20} {version:<8} {items:>5} items  groups: {groups_text:<16} {title}"
    else:
        rows = shows.runs(places.results_dir(results))
        line = "{run:<30} planned {planned!s:>6}  {by_status!s}  {stop_reason}"
    if as_json:
        _out(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        state = "ready" if row.get("ready") else row.get("why_not")
        _out(line.format(**row, state=state, groups_text=", ".join(row.get("groups", ()))).rstrip())
    if not rows:
        _say(f"no {what} yet" + ("; start one with: lmmbench run --tasks korean" if what == "runs" else ""))


# --- other work ---------------------------------------------------------------------------------------


@cli.command()
@click.option("--write-hash", metavar="PACK", help="Put the hash of a pack's items.jsonl into its card.")
@_place_options("providers", "tasks")
def check(write_hash: str | None, providers: str | None, tasks_dir: str | None, debug: bool) -> int:
    """Check packs, providers.yaml and every scorer against every gold answer. Asks nothing, costs nothing."""
    from lmmbench import check as checks
    from lmmbench import packs
    from lmmbench.doors import nearest

    tasks = places.tasks_dir(tasks_dir)
    if write_hash:
        folders = packs.find(tasks)
        if write_hash not in folders:
            raise UsageError(
                f"no pack is called {write_hash!r}{nearest(write_hash, folders)}; see: lmmbench list tasks"
            )
        _out(f"{write_hash}: items_sha256 {checks.write_hash(folders[write_hash])}")
        return 0
    done, wrong = checks.check_all(tasks, places.providers_file(providers))
    for text in done:
        _out(text)
    for text in wrong:
        _say(f"lmmbench: {text}")
    _out(f"{len(wrong)} problems" if wrong else "all is well")
    return 2 if wrong else 0


@cli.command()
@click.argument("name", metavar="RUN")
@_lang
@_place_options("results", "tasks")
def score(name: str, lang: str, results: str | None, tasks_dir: str | None, debug: bool) -> None:
    """Grade a run again from its journal, offline, and publish it anew. Asks nothing, needs no key."""
    from lmmbench import plan
    from lmmbench.journal import check_free

    where = places.Places(places.tasks_dir(tasks_dir), Path(), places.results_dir(results))
    folder = places.find_run(name, where.results)
    check_free(folder / "journal" / "main.jsonl")
    published = _published(folder, plan.load(folder), None, where)
    _report(published, folder, 0, "", lang)


@cli.command()
@click.option("--force", is_flag=True, help="Overwrite an existing providers.yaml.")
def init(force: bool) -> None:
    """Write a commented providers.yaml into this folder: add your models and keys' names there."""
    target = Path("providers.yaml")
    if target.exists() and not force:
        raise UsageError("providers.yaml exists here; keep it, or overwrite it with: lmmbench init --force")
    shipped = places._shipped("providers.yaml")
    if target.exists() and target.resolve() == shipped.resolve():
        raise UsageError("this folder's providers.yaml is the one that lmmbench ships; nothing to write")
    target.write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8", newline="\n")
    _out(f"wrote {target}; set a key (export OPENAI_API_KEY=…), then: lmmbench list models")
