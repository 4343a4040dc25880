"""The command line. Results go to stdout, progress and errors to stderr; an error is one sentence with the next action."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click

from lmmbench import __version__, places
from lmmbench.faults import UsageError
from lmmbench.secret import redacted
from lmmbench.terminal import visible

if TYPE_CHECKING:
    from distributed import Client
    from rich.console import Console

    from lmmbench.analysis.views import Sheet
    from lmmbench.bench import Execution, Published
    from lmmbench.doctor import Finding
    from lmmbench.gate import Baselines, Outcome
    from lmmbench.packs import Pack
    from lmmbench.plan import Plan
    from lmmbench.publisher import Publisher
    from lmmbench.results import Index
    from lmmbench.shards import Shard
    from lmmbench.types import Model

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
            _say(traceback.format_exc().rstrip())
        _say(f"lmmbench: {e}")
        return e.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop(sys.stdout)
        return 0
    except OSError as e:
        if debug:
            _say(traceback.format_exc().rstrip())
        _drop(sys.stdout)
        _say(
            f"lmmbench: {e.filename or 'the output'} cannot be written ({e.strerror}); make room, or choose another place"
        )
        return 4
    except Exception as e:
        if debug:
            _say(traceback.format_exc().rstrip())
        _say(f"lmmbench: unforeseen error: {e.__class__.__name__}: {e}; see more with --debug")
        return 70


def _click_sentence(error: click.ClickException) -> str:
    text = " ".join(error.format_message().replace("Did you mean", "did you mean").rstrip("?.").split())
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lmmbench"
    return f"{text}; see: {command} --help"


def _out(text: str) -> None:
    """Print a result: into a file or a pipe as it is, on a terminal so that it cannot act there. Not by click, which
    writes UTF-8 to a terminal that said it cannot show it."""
    text = redacted(visible(text) if sys.stdout.isatty() else text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _json(data: Sequence[Mapping[str, Any]]) -> str:
    """Data as JSON, in ASCII where this stdout cannot print all of it: the escapes that `_streams` puts are not JSON's."""
    from lmmbench.analysis import views

    text = views.as_json(data)
    return text if _can_print(text) else views.as_json(data, ascii_only=True)


def _say(text: str) -> None:
    """Print progress or an error; a stderr that cannot be written changes no exit code."""
    with contextlib.suppress(OSError):
        sys.stderr.write(redacted(visible(text)) + "\n")
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
    return Console(file=cast(IO[str], _Redacting(stream)), width=width, highlight=False, safe_box=True)


class _Redacting:
    """A stream as rich writes to one, through which no key goes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return int(self._stream.write(redacted(text)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


# --- options that several commands share -------------------------------------------------------------


def _place_options(*names: str) -> Callable[[Any], Any]:
    options = {
        "results": click.option("--results", metavar="DIR", help="Results folder (LMMBENCH_RESULTS, else ./results)."),
        "providers": click.option("--providers", metavar="FILE", help="providers.yaml (LMMBENCH_PROVIDERS, else ./, else the shipped one)."),
        "tasks": click.option("--tasks-dir", "tasks_dirs", multiple=True, metavar="DIR", help="Packs; may be given more than once (LMMBENCH_TASKS, else ./tasks, else the shipped ones)."),
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


_min_coverage = click.option(
    "--min-coverage",
    callback=_number,
    type=click.FloatRange(0, 1),
    default=0.98,
    show_default=True,
    help="Below it for any model: exit code 3.",
)


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
@click.option("--stream", is_flag=True, help="Ask for streams: the time to the first token of each answer is measured.")
@click.option("--run-id", metavar="ID", help="Name of the new run.")
@click.option(
    "--shard", metavar="I/N", help="Ask only part I of N; needs --run-id, the same for all. `lmmbench merge` publishes."
)
@click.option("--dask", metavar="ADDRESS", help="Carry out the run in shards on this Dask cluster.")
@click.option("--shards", type=click.IntRange(1, 100_000), help="With --dask: how many shards. Default: one a worker.")
@click.option(
    "--dask-wait",
    callback=_duration,
    metavar="TIME",
    help="With --dask: how long to wait without any worker. Default: 5m.",
)
@click.option(
    "--replay", metavar="RUN", help="Take the answers of RUN and ask nothing: for new packs and scorers. Needs no key."
)
@click.option(
    "--resume", metavar="RUN", help="Finish a run: ask what is error, invalid or skipped; never what was answered."
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1, max=10_000),
    help="Asks in flight per endpoint, fixed, instead of a number that adapts.",
)
@click.option("--deadline", callback=_duration, metavar="TIME", help="Stop after so long (90s, 30m, 2h).")
@_min_coverage
@click.option(
    "--max-cost",
    callback=_number,
    type=click.FloatRange(min=0),
    metavar="USD",
    help="Hard cap; default in providers.yaml.",
)
@click.option("--allow-unknown-cost", is_flag=True, help="Ask keyed models whose price is not known.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked, and what it may cost. Sends nothing.")
@click.option("--ci", is_flag=True, help="Also junit.xml, GitHub's step summary and annotations; no live screen.")
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
    from lmmbench import bench, shards

    shard = shards.parse(given["shard"]) if given["shard"] else None
    execution = bench.Execution(
        concurrency=given["concurrency"], deadline_s=given["deadline"], min_coverage=given["min_coverage"],
        max_cost=given["max_cost"], allow_unknown_cost=given["allow_unknown_cost"], dry_run=given["dry_run"],
        ci=given["ci"], shard=shard,
    )  # fmt: skip
    explicit = {k for k in given if ctx.get_parameter_source(k) is click.core.ParameterSource.COMMANDLINE}
    _check_combination(explicit)
    where = bench.places_of(given["tasks_dirs"], given["providers"], given["results"])
    _say(str(where))
    with contextlib.ExitStack() as stack:
        client, of = None, shard.of if shard else 0
        if given["dask"]:
            from lmmbench import cluster

            client = stack.enter_context(cluster.connect(given["dask"]))
            # a run that is resumed has its shards, and waits for workers
            of = given["shards"] or (0 if given["resume"] else len(cluster.workers(client)))
        if given["resume"]:
            folder, run_plan, chosen = _resumed(given, explicit, where, shard)
        elif given["replay"]:
            folder, run_plan, chosen = _replayed(given, explicit, where, of)
        else:
            folder, run_plan, chosen = _planned(given, where, of)
        if run_plan.options.get("replay_of"):
            return _replay(folder, run_plan, chosen, execution, where, given["lang"], new=not given["resume"])
        return _carry_out(
            folder, run_plan, chosen, execution, where, given["lang"], new=not given["resume"], client=client,
            wait_s=given["dask_wait"],
        )  # fmt: skip


_EXCLUDING = (
    ("run_id", "resume", "--run-id names a new run and --resume an old one"),
    ("shard", "dask", "--shard asks one part here and --dask all parts elsewhere"),
    ("replay", "dask", "--replay asks nothing and --dask asks elsewhere"),
    ("replay", "resume", "--replay begins a new run, and a replayed run that is resumed is replayed on"),
)


def _check_combination(explicit: set[str]) -> None:
    for one, other, why in _EXCLUDING:
        if {one, other} <= explicit:
            raise UsageError(f"{why}; give one of them")
    if "shard" in explicit and not explicit & {"run_id", "resume"}:
        raise UsageError("--shard needs --run-id ID, the same for all shards, so that they find each other")
    if "dask_wait" in explicit and "dask" not in explicit:
        raise UsageError("--dask-wait goes with --dask; leave it out, or name the cluster")
    if "shards" in explicit and "dask" not in explicit:
        raise UsageError("--shards goes with --dask; to ask one part here, use --shard I/N")


def _new_folder(run_id: str | None, where: places.Places, joins: bool) -> Path:
    """Where a new run goes. `joins`: another shard may have begun it."""
    from lmmbench import config, plan
    from lmmbench.journal import check_free

    if run_id is not None:
        config.check_id(run_id, "run")
    if run_id == "latest":
        raise UsageError("a run cannot be called 'latest', which always means the newest; choose another --run-id")
    folder = where.results / (run_id or plan.new_run_id())
    if (folder / "plan.json").exists() and not joins:
        check_free(folder)
        raise UsageError(f"the run {folder.name!r} exists; to finish it, use --resume {folder.name}")
    begun = joins and not any(p.name != "journal" and not p.name.startswith(".") for p in folder.glob("*"))
    if folder.exists() and not begun and not (folder / "plan.json").exists():
        raise UsageError(f"{folder} exists and is no run; remove it, or choose another --run-id")
    return folder


def _planned(given: dict[str, Any], where: places.Places, of: int) -> tuple[Path, Plan, list[Pack]]:
    from lmmbench import bench, config, packs

    if not given["tasks"]:
        raise UsageError("--tasks names what to ask; try: lmmbench run --tasks korean")
    options = bench.RunOptions(**{name: given[name] for name in _PLANNING})
    cfg = config.load(where.providers)
    folder = _new_folder(given["run_id"], where, bool(given["shard"]))
    with _said_with(lambda: bench.meant(options.models, cfg)):
        chosen = packs.select(options.tasks, where.tasks)
    # on a cluster the workers have the keys
    models, skipped = bench.choose_models(options.models, cfg, keys=not given["dry_run"] and not given["dask"])
    bench.check_sealed(models, chosen)
    for name, reason in skipped.items():
        _say(f"skipped {name} at endpoint {cfg.models[name].endpoint!r}: {reason}")
    run_plan = bench.make_plan(options, folder.name, models, chosen)
    run_plan.options["max_cost_usd"] = cfg.defaults.max_cost_usd  # the option, if given, takes its place
    run_plan.options.update({"shards": of} if of else {})
    return folder, run_plan, chosen


def _replayed(
    given: dict[str, Any], explicit: set[str], where: places.Places, of: int
) -> tuple[Path, Plan, list[Pack]]:
    """The plan of a run that takes the answers of another: what is not said is as it was there."""
    from lmmbench import bench, packs, plan

    source = places.find_run(given["replay"], where.results)
    old = plan.load(source)
    settled = {name: given[name] if name in explicit else old.options.get(name, given[name]) for name in _PLANNING}
    options = bench.RunOptions(**settled)
    folder = _new_folder(given["run_id"], where, bool(given["shard"]))
    models = bench.choose_among(options.models if "models" in explicit else None, old)
    with _said_with(lambda: {m: p.model for m, p in models.items()}):
        chosen = packs.select(options.tasks, where.tasks)
    run_plan = bench.make_plan(options, folder.name, models, chosen)
    run_plan.options.update({"shards": of} if of else {}, replay_of=old.run_id, replay=str(source.resolve()))
    return folder, run_plan, chosen


_PLANNING = ("tasks", "models", "limit", "repeats", "seed", "option_order", "min_attestation", "stream")
"""Options that shape the plan: the fields of RunOptions."""


def _resumed(
    given: dict[str, Any], explicit: set[str], where: places.Places, shard: Shard | None
) -> tuple[Path, Plan, list[Pack]]:
    """The plan of an existing run. Options given again must agree with it."""
    from lmmbench import plan, results

    folder = places.find_run(given["resume"], where.results)
    run_plan = plan.load(folder)
    _check_split(run_plan, shard, given)
    for name in explicit & (set(_PLANNING) - {"stream"}):
        if given[name] != run_plan.options.get(name):
            raise UsageError(
                f"--{name.replace('_', '-')} {given[name]} differs from the run's {'none' if run_plan.options.get(name) is None else run_plan.options[name]}; "
                "leave it out, or start a new run"
            )
    if given["stream"] and not run_plan.stream:
        raise UsageError("--stream differs from the run, which does not stream; leave it out, or start a new run")
    with _said_with(lambda: {m: p.model for m, p in run_plan.models.items()}):
        return folder, run_plan, results.planned_packs(run_plan, where.tasks)


@contextlib.contextmanager
def _said_with(models: Callable[[], Mapping[str, Model]]) -> Iterator[None]:
    """What is said of a pack's file that can be sent to nobody, with the models that were to be asked with it."""
    from lmmbench.packs import MediaError

    try:
        yield
    except MediaError as e:
        given = [f"{name} at endpoint {m.endpoint!r}" for name, m in models().items() if e.kind in m.inputs]
        raise UsageError(f"{e.what}, and was for {', '.join(given) or 'no model of this run'}; {e.do}") from None


def _check_split(run_plan: Plan, shard: Shard | None, given: dict[str, Any]) -> None:
    """A run is finished in the parts in which it was begun: else an ask could be on its way twice."""
    of, name = run_plan.shards, run_plan.run_id
    is_split = f"the run {name!r} is split into {of} shards" if of else f"the run {name!r} is not split into shards"
    if (shard and shard.of != of) or given["shards"] not in (None, of) or (given["dask"] and not of):
        how = f"--shard I/{of}, or --dask" if of else f"--resume {name} alone"
        raise UsageError(f"{is_split}; finish it with {how}, or start a new run")
    if of and not shard and not given["dask"]:
        raise UsageError(
            f"{is_split}; finish each that is not done with --resume {name} --shard I/{of}, or all with --dask"
        )


def _carry_out(
    folder: Path, run_plan: Plan, chosen: list[Pack], how: Execution, where: places.Places, lang: str, *, new: bool,
    client: Client | None = None, wait_s: float | None = None,
) -> int:  # fmt: skip
    from lmmbench import bench, publisher

    expected = bench.estimate(run_plan, chosen)
    _say(f"{folder.name}: {', '.join(run_plan.models)} · {bench.estimate_text(expected)}")
    if new:  # a resumed run keeps what was allowed at its start
        run_plan.options.update(max_cost_usd=_cap(how, run_plan), allow_unknown_cost=how.allow_unknown_cost)
    cap = _cap(how, run_plan)
    allowed = how.allow_unknown_cost or bool(run_plan.options.get("allow_unknown_cost"))
    if how.dry_run:
        for text in bench.warnings(run_plan):
            _say(f"warning: {text}")
        _out(f"dry run: {bench.estimate_text(expected)}; nothing was sent")
        return 0
    bench.check_money(expected, cap, allowed)
    bench.check_shares(run_plan, how)
    if not client:
        _check_keys(run_plan)
    for text in bench.warnings(run_plan):
        _say(f"warning: {text}")
    bench.prepare_folder(folder, expected.disk_bytes, new=new and not how.shard)
    if new:
        run_plan = _save_plan(run_plan, folder, how.shard)
    if client:
        return _on_cluster(client, folder, run_plan, chosen, how, where, lang, cap, wait_s)
    with publisher.beside(folder, run_plan, chosen, how) as ahead:
        reason, caught, found = _asked(folder, run_plan, chosen, how, cap, ahead)
        if ahead and reason != "disk":  # what it has read may not be on the disk
            return _finish(folder, run_plan, chosen, how, where, lang, reason, caught, found, ahead=ahead)
    if how.shard:
        return _shard_end(folder, run_plan, how.shard, reason, caught, how.min_coverage, found)
    return _finish(folder, run_plan, chosen, how, where, lang, reason, caught, found)


def _asked(
    folder: Path, run_plan: Plan, chosen: list[Pack], how: Execution, cap: float, ahead: Publisher | None
) -> tuple[str, int, Index | None]:
    """Ask. Returns why it stopped, the signal or 0, and the journal's index, None where the disk refused or somebody
    publishes `ahead`."""
    from dataclasses import replace

    from lmmbench import bench
    from lmmbench.journal import JournalError

    mine = bench.cap_of(run_plan, chosen, cap, how.shard) if how.shard else cap
    try:
        return bench.execute(folder, run_plan, chosen, replace(how, max_cost=mine), _console(stderr=True), ahead)
    except JournalError as e:
        _say(f"lmmbench: {e}; free some space, then: {_resume(folder, str(how.shard or ''))}")
        return "disk", 0, None
    except UsageError:
        raise
    except Exception:
        _say(f"what was answered is safe in the journal; to ask what is left: {_resume(folder, str(how.shard or ''))}")
        raise


def _finish(
    folder: Path, run_plan: Plan, chosen: list[Pack] | None, how: Execution, where: places.Places, lang: str,
    reason: str, caught: int, found: Index | None, *, held: bool = False, ahead: Publisher | None = None,
) -> int:  # fmt: skip
    """Publish, print, and say how it went. `held`: the caller has the journals' locks; `ahead`: who has begun to
    publish."""
    from lmmbench import bench

    try:
        published = _published(folder, run_plan, chosen, where, found, held=held, ahead=ahead)
    except KeyboardInterrupt:
        _say(
            f"stopped while publishing; the answers are safe in the journal, publish them with: lmmbench score {folder.name}"
        )
        return 130
    code = bench.exit_code(published, caught, reason, how.min_coverage)
    try:
        _report(published, folder, code, reason, lang, run_plan)
    except OSError:
        if not caught:
            raise
        _drop(sys.stdout)  # the terminal was closed: the signal said so, and nobody reads on
    if how.ci:
        from lmmbench import ci

        ci.run(published.cells, published.manifest, how.min_coverage, folder, _say, published.warnings)
    return code


def _cap(how: Execution, run_plan: Plan) -> float:
    """Dollars that the whole run may cost: the option's, else the plan's."""
    return how.max_cost if how.max_cost is not None else float(run_plan.options.get("max_cost_usd", 5.0))


def _shard_end(
    folder: Path, run_plan: Plan, shard: Shard, reason: str, caught: int, min_coverage: float, found: Index | None
) -> int:
    """What a shard has to say; it publishes nothing."""
    from lmmbench import bench, results

    found = found or results.index(folder, run_plan, shard.writer)
    counts = bench.shard_counts(found, run_plan, shard)
    code = bench.shard_exit_code(counts.values(), caught, reason, min_coverage)
    _say(f"shard {shard}: {bench.counts_text(counts)}" + (f" · {reason}" if reason else ""))
    for model, stopped in found.ends.get(shard.writer, {}).get("stopped", {}).items():
        _say(f"{model}: stopped: {visible(_advice(run_plan, model, stopped))}")
    if code:
        _say(f"to ask what is left: {_resume(folder, str(shard))}")
    _say(f"when all shards are done: lmmbench merge {_run_name(folder)}")
    _out(f"run: {folder}")
    return code


def _on_cluster(
    client: Client, folder: Path, run_plan: Plan, chosen: list[Pack], how: Execution, where: places.Places, lang: str,
    cap: float, wait_s: float | None,
) -> int:  # fmt: skip
    from lmmbench import cluster, results, shards

    wait_s = wait_s or cluster.ALONE_S

    jobs = [
        cluster.Job(
            str(folder.resolve()), [str(t.resolve()) for t in where.tasks], {p.id: str(p.folder.resolve()) for p in chosen}, str(shard),
            how.concurrency, how.deadline_s, how.min_coverage, cap, f"lmmbench-stop-{run_plan.run_id}-{os.urandom(4).hex()}",
        )
        for shard in shards.all_of(run_plan.shards)
    ]  # fmt: skip
    ended, caught = cluster.launch(client, jobs, _say, wait_s)
    broken = [f"shard {name}: {x.text}" for name, x in ended.items() if x.code not in (0, 3)]
    for text in broken:
        _say(f"lmmbench: {text}")
    if any(x.code == 2 for x in ended.values()) and not results.index(folder, run_plan).has_asks():
        raise UsageError(f"nothing was asked: {broken[0]}")
    if len(ended) < len(jobs) and not caught:
        _say(
            f"lmmbench: the cluster has had no worker for {wait_s:g} s, so {len(jobs) - len(ended)} shards are not done; "
            f"start some, then: {_resume(folder)} --dask {client.scheduler.address}"
        )
    return _merged(folder, run_plan, chosen, how, where, lang, caught)


def _merged(
    folder: Path,
    run_plan: Plan,
    chosen: list[Pack] | None,
    how: Execution,
    where: places.Places,
    lang: str,
    caught: int = 0,
) -> int:
    """Publish what all shards have, and say what is missing. Nobody may write meanwhile."""
    from lmmbench import bench, results, shards
    from lmmbench.journal import held

    with held(folder, shards.writers(run_plan.shards)):
        found = results.index(folder, run_plan)
        for text in bench.left(folder, run_plan, found):
            _say(text)
        return _finish(folder, run_plan, chosen, how, where, lang, "", caught, found, held=True)


def _replay(
    folder: Path, run_plan: Plan, chosen: list[Pack], how: Execution, where: places.Places, lang: str, *, new: bool
) -> int:
    """A run that takes the answers of another one. Asks nothing."""
    from lmmbench import bench, plan, replay
    from lmmbench.journal import check_free

    source = places.find_run(str(run_plan.options["replay"]), where.results)
    check_free(source)
    answers = replay.held(source, plan.load(source))
    there, lacking = replay.count(run_plan, chosen, answers)
    _say(f"{folder.name}: {source.name} settles {there:,} of {there + lacking:,} asks; nothing is asked")
    if how.dry_run:
        _out("dry run: nothing was written")
        return 0
    bench.prepare_folder(folder, there * bench.BYTES_PER_ASK, new=new and not how.shard)
    if new:
        run_plan = _save_plan(run_plan, folder, how.shard)
    replay.replay(folder, run_plan, chosen, answers, how.shard)
    if how.shard:
        return _shard_end(folder, run_plan, how.shard, "", 0, how.min_coverage, None)
    return _finish(folder, run_plan, chosen, how, where, lang, "", 0, None)


def _run_name(folder: Path) -> str:
    """A run as a command names it, wherever its results are."""
    import shlex

    return folder.name if folder.parent == places.results_dir(None) else shlex.quote(str(folder))


def _resume(folder: Path, shard: str = "") -> str:
    """The command that finishes a run, or a shard of it."""
    return f"lmmbench run --resume {_run_name(folder)}" + (f" --shard {shard}" if shard else "")


def _save_plan(run_plan: Plan, folder: Path, shard: Shard | None) -> Plan:
    """The plan is on the disk before anything is asked; a folder without one is not left behind. Shards share one: that
    of the first. Returns the plan that is there."""
    import shutil

    from lmmbench import plan

    try:
        if shard:
            return plan.join(run_plan, folder)
        plan.save(run_plan, folder)
    except OSError as e:
        if not shard:
            shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(
            f"the run's folder cannot be written ({e.strerror}); free some space, or name another with --results",
            exit_code=4,
        ) from None
    return run_plan


def _check_keys(run_plan: Plan) -> None:
    """On resume the keys come from the environment again; a missing one is said before anything is sent."""
    from lmmbench import bench, config

    for model_id, planned in run_plan.models.items():
        if reason := config.missing(planned.model.endpoint, planned.endpoint):
            raise bench.cannot_be_asked(model_id, planned.model, reason)


def _published(
    folder: Path,
    run_plan: Plan,
    chosen: list[Pack] | None,
    where: places.Places,
    found: Index | None = None,
    *,
    held: bool = False,
    ahead: Publisher | None = None,
) -> Published:
    """Publish, with the journals' locks unless the caller holds them; where who has begun to does not finish, here."""
    from lmmbench import bench, journal, publisher, shards

    try:
        with contextlib.nullcontext() if held else journal.held(folder, shards.writers(run_plan.shards)):
            try:
                if ahead:
                    return ahead.finish()
            except publisher.Unfinished as e:
                _say(f"publishing here, since the process that had begun to has ended: {visible(str(e))}")
            return bench.publish(folder, run_plan, chosen, where.tasks, found)
    except OSError as e:
        raise UsageError(
            f"the results cannot be written ({e.strerror}); the answers are safe in the journal: make room, then: "
            f"lmmbench score {folder.name}",
            exit_code=4,
        ) from None


def _advice(run_plan: Plan, model: str, stopped: str) -> str:
    """A model's fault, or why else it was stopped, with its endpoint and the next action where there is one."""
    from lmmbench import doctor
    from lmmbench.faults import FAULTS, Fault

    kind, _, message = stopped.partition(": ")
    if kind not in FAULTS:
        return stopped
    planned = run_plan.models[model]
    return f"{kind}: " + doctor.advice(
        Fault(kind, message), model, planned.model, planned.endpoint, planned.endpoint.base_url
    )


def _report(published: Published, folder: Path, code: int, reason: str, lang: str, run_plan: Plan) -> None:
    """The matrix and the last line on stdout; what is missing and what to do about it on stderr."""
    from lmmbench import results

    _print_matrix(published.cells, lang, published.manifest, folder)
    for model, counts in published.counts.items():
        shown = " · ".join(f"{status} {n}" for status, n in sorted(counts.items()))
        stopped, first, unable = (
            published.manifest["models"][model][key] for key in ("stopped", "ttft_s", "unsupported")
        )
        shown += f" · first token after {first['p50']:.2f} s (median of {first['n']})" if first else ""
        shown += (
            f" · unsupported: {visible(unable)}, for one; ask another model, or see the column error" if unable else ""
        )
        shown += f" · stopped: {visible(_advice(run_plan, model, stopped))}" if stopped else ""
        failed = results.commonest_fault(folder, model) if counts["error"] or counts["invalid"] else ""
        kind = failed.partition(":")[0]
        if failed and kind != (stopped or "").partition(":")[0]:
            # where others were answered, the address and the dialect are right
            alone = kind == "invalid" and counts["ok"] + counts["truncated"] > 0
            shown += f" · most often {visible(failed if alone else _advice(run_plan, model, failed))}"
        _say(f"{model}: {shown}")
    damaged = published.manifest["damaged_records"]
    if damaged:
        _say(f"{len(damaged)} damaged journal records were skipped, the first in {damaged[0]}; see run.json")
    for text in published.warnings:
        _say(f"warning: {visible(text)}")
    for alarm in published.manifest["alarms"]:
        _say(visible(f"alarm: {alarm['model']}: {alarm['text']}"))
    if code:
        nobody = all(set(c) == {"unsupported"} for c in published.counts.values())
        if nobody:
            _say("no model of this run can take these questions; choose other --models or --tasks")
    if code and not nobody:
        why = {3: "coverage is below the floor", 4: "no answer was got"}.get(code, reason or "stopped")
        _say(f"{why}; to ask what is left: {_resume(folder, f'I/{run_plan.shards}' if run_plan.shards else '')}")
    _out(f"run: {folder}")


def _print_matrix(cells: list[dict[str, Any]], lang: str, manifest: dict[str, Any], folder: Path) -> None:
    from lmmbench import policy
    from lmmbench.analysis import evidence, profile, sealed, views

    lang = _speakable(lang)
    title = views.title(lang, bool(manifest["simulated"]))
    sheets = [*views.models(cells, lang), *profile.sheets(cells, lang), *sealed.sheets(sealed.gaps([folder]), lang)]
    _print_sheets(sheets, title, [*evidence.lines([folder], lang), *policy.lines(lang, [manifest])])


def _speakable(lang: str) -> str:
    """The language of a view on this terminal."""
    if lang == "ko" and not _can_print("가"):
        _say("this terminal cannot print Hangul, so the words are English; set PYTHONUTF8=1 or a UTF-8 locale")
        return "en"
    return lang


def _print_sheets(sheets: list[Sheet], title: str, notes: Sequence[str] = ()) -> None:
    from lmmbench.analysis import views

    console = _console()
    console.print(title)
    for part in views.tables(sheets, console.width):
        console.print(part)
    for line in notes:
        console.print(line, markup=False)


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
@click.option(
    "--view",
    type=click.Choice(["models", "article", "claims"]),
    default="models",
    show_default=True,
    help="Models x cells, strengths and weaknesses by vendor, or what articles claim and what the numbers say.",
)
@_lang
@_place_options("results")
def matrix(runs: tuple[str, ...], form: str, view: str, lang: str, results: str | None, debug: bool) -> None:
    """Print the matrix of one or more runs. RUN is an id, a path, or `latest`.

    Runs that asked the same questions with the same seed and different models are one field.
    """
    where = places.results_dir(results)
    folders = [places.find_run(name, where) for name in runs]
    if form == "table":
        lang = _speakable(lang)
    shown = _view(view, folders, lang, form)
    if isinstance(shown, str):
        _out(shown)
    else:
        _print_sheets(*shown, _notes(view, folders, lang))


def _view(view: str, folders: list[Path], lang: str, form: str) -> str | tuple[list[Sheet], str]:
    """A view as the text of a file's format; for a terminal its sheets and their title."""
    from lmmbench.analysis import article, claims, profile, sealed, views
    from lmmbench.analysis import matrix as matrices

    if view == "claims":
        found = claims.answers(folders)
        sheets, data = claims.sheets(found, lang), claims.data(found)
    else:
        cells, apart = matrices.together(folders)
        if apart:
            _say(f"not one field: {apart}; each run is judged by itself")
        if view == "models" and form in ("csv", "json"):
            return views.cells_csv(cells, matrices.COLUMNS) if form == "csv" else _json(cells)
        sheets = views.models(cells, lang, bool(apart)) if view == "models" else article.sheets(cells, lang)
        if view == "models":
            sheets += [*profile.sheets(cells, lang), *sealed.sheets(sealed.gaps(folders), lang)]
        data = [] if view == "models" else article.data(cells)
    if form in ("csv", "json"):
        return views.sheets_csv(sheets) if form == "csv" else _json(data)
    heading = views.title(lang, any(_simulated(f) for f in folders), "title" if view == "models" else f"{view}_title")
    if form == "md":
        return "\n".join([views.markdown(sheets, heading), *_notes(view, folders, lang)])
    return sheets, heading


def _notes(view: str, folders: list[Path], lang: str) -> list[str]:
    """What stands below the models' numbers: what the questions rest on, and how they were asked."""
    from lmmbench import policy
    from lmmbench.analysis import evidence

    if view != "models":
        return []
    return [*evidence.lines(folders, lang), *policy.lines(lang, list(filter(None, map(_manifest, folders))))]


def _simulated(folder: Path) -> bool:
    """Whether a run holds made-up models."""
    return bool(_manifest(folder).get("simulated"))


def _manifest(folder: Path) -> dict[str, Any]:
    """A run's run.json; empty where it is not published."""
    import json

    path = folder / "run.json"
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


@cli.command()
@click.argument("name", metavar="RUN")
@click.argument("item")
@_place_options("results")
def show(name: str, item: str, results: str | None, debug: bool) -> None:
    """Print one question of a run, every model's answer, what was parsed, and the score."""
    from lmmbench import show as shows

    _out(shows.item(places.find_run(name, places.results_dir(results)), item))


@cli.command()
@click.argument("name", metavar="RUN")
@click.option(
    "--lang", type=click.Choice(["en", "ko"]), default="en", show_default=True, help="The page's first language."
)
@_place_options("results")
def report(name: str, lang: str, results: str | None, debug: bool) -> None:
    """Write a run's report: one HTML file with the matrix, every question and every answer, that needs no network.

    RUN is an id, a path, or `latest`. The file is the run's report.html; its path is printed.
    """
    from lmmbench.analysis import report as reports

    folder = places.find_run(name, places.results_dir(results))
    _out(str(reports.write(folder, lang)))
    _warn_of_sealed(folder)


def _warn_of_sealed(folder: Path) -> None:
    """A file that is made to be handed on holds what must not be."""
    from lmmbench.analysis import sealed

    if kept := sealed.parts([folder], alone=True):
        _say(f"warning: this file holds the sealed items of {', '.join(sorted(kept))}; whoever gets it has seen them")


@cli.command("list")
@click.argument("what", type=click.Choice(["models", "tasks", "runs"]), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_place_options("results", "providers", "tasks")
def list_(
    what: str | None, as_json: bool, results: str | None, providers: str | None, tasks_dirs: Sequence[str], debug: bool
) -> None:
    """List models (with key or without), tasks, or runs."""
    if not what:
        raise UsageError("say what to list: models, tasks or runs; for example: lmmbench list models")
    from lmmbench import show as shows

    if what == "models":
        rows = shows.models(places.providers_file(providers))
        line = "{model:<24} {vendor:<15} {region:<10} verified: {verified:<10} {state}"
    elif what == "tasks":
        rows = shows.tasks(places.tasks_dirs(tasks_dirs))
        line = "{task:<20} {version:<8} {items:>5} items  groups: {groups_text:<16} {title}"
    else:
        rows = shows.runs(places.results_dir(results))
        line = "{run:<30} planned {planned!s:>6}  {by_status!s}  {stop_reason}"
    if as_json:
        _out(_json(rows))
        return
    for row in rows:
        # what to do about it is said when it is asked for, and in --json
        state = "ready" if row.get("ready") else str(row.get("why_not")).partition(";")[0]
        state = f"{state} · retires {row['retires_on']}" if row.get("retires_on") else state
        _out(visible(line.format(**row, state=state, groups_text=", ".join(row.get("groups", ()))).rstrip()))
    if not rows:
        _say(f"no {what} yet" + ("; start one with: lmmbench run --tasks korean" if what == "runs" else ""))


# --- comparing ----------------------------------------------------------------------------------------

_cells = click.option(
    "--cells", metavar="CELLS", default="", help="Strata to test beside the packs: korean-dialect/jeju,…"
)
_form = click.option(
    "--format", "form", type=click.Choice(["table", "md", "json"]), default="table", show_default=True, help="How it is printed."
)  # fmt: skip


@cli.command()
@click.argument("a")
@click.argument("b")
@_cells
@_form
@_place_options("results")
def compare(a: str, b: str, cells: str, form: str, results: str | None, debug: bool) -> None:
    """Paired differences of B less A on the questions that both answered. A, B: RUN or RUN:MODEL.

    \b
    lmmbench compare monday latest                  every model that both runs have
    lmmbench compare latest:gpt-6-luna latest:hcx-007   two models of one run
    """
    from lmmbench.analysis import compare as compares

    where = places.results_dir(results)
    sides = compares.pairs(*_pair(a, b, where))
    rows = compares.compare(sides, _names(cells))
    for left, right in sides:
        for sentence in compares.drift(left, right) if left.model == right.model else ():
            _say(f"drift: {sentence}")
    _print_rows(rows, form, any(_simulated(side.folder) for pair in sides for side in pair))


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _pair(a: str, b: str, results: Path) -> tuple[Path, Path, str | None, str | None]:
    (folder_a, model_a), (folder_b, model_b) = _side(a, results), _side(b, results)
    return folder_a, folder_b, model_a, model_b


def _side(text: str, results: Path) -> tuple[Path, str | None]:
    """RUN or RUN:MODEL. A colon may also be part of a Windows path, so the whole is tried first."""
    run, colon, model = text.rpartition(":")
    try:
        return places.find_run(text, results), None
    except UsageError:
        if not colon or not run:
            raise
    return places.find_run(run, results), model


def _title(simulated: bool) -> str:
    from lmmbench.analysis.compare import TITLE

    return ("SIMULATED  " if simulated else "") + TITLE


def _print_rows(rows: list[dict[str, Any]], form: str, simulated: bool) -> None:
    from lmmbench.analysis import compare as compares
    from lmmbench.analysis import views

    sheets, title = [compares.sheet(rows)], _title(simulated)
    if form == "json":
        _out(_json(rows))
    elif form == "md":
        _out(views.markdown(sheets, title))
    else:
        _print_sheets(sheets, title)


GATE_CODES = """\b
Exit codes: 0 pass · 1 regression · 2 usage · 3 inconclusive · 4 the run has no answers
6 the baseline is not there yet (the first night), or not usable · 70 an unforeseen error"""


@cli.command(epilog=GATE_CODES)
@click.argument("name", metavar="RUN")
@click.option("--baseline", required=True, metavar="A", help="A name in baselines.json, a RUN, or RUN:MODEL.")
@click.option(
    "--baselines",
    "file",
    default="baselines.json",
    show_default=True,
    metavar="FILE",
    help="Where baselines are recorded.",
)
@_cells
@click.option(
    "--min-effect",
    callback=_number,
    type=click.FloatRange(0, 100),
    default=2.0,
    show_default=True,
    metavar="POINTS",
    help="A smaller drop is no regression.",
)
@click.option("--ci", is_flag=True, help="Also gate-junit.xml, the step summary and annotations.")
@_form
@_place_options("results")
def gate(
    name: str,
    baseline: str,
    file: str,
    cells: str,
    min_effect: float,
    ci: bool,
    form: str,
    results: str | None,
    debug: bool,
) -> int:
    """Is RUN worse than the baseline? A verdict for every pack and named cell, and one exit code.

    \b
    lmmbench gate latest --baseline nightly --ci
    """
    from lmmbench import gate as gates
    from lmmbench.analysis import compare as compares

    where = places.results_dir(results)
    path = Path(file)
    known = gates.load_baselines(path)
    candidate, model_b = _side(name, where)
    folder, model_a = _baseline(baseline, known, path, candidate, where)
    gates.check_files(folder, gates.UNUSABLE)
    gates.check_files(candidate)
    try:
        sides = compares.pairs(folder, candidate, model_a, model_b)
        absent = [] if model_a or model_b else compares.absent(folder, candidate)
        outcome = gates.judge(
            sides, cells=_names(cells), min_effect=min_effect / 100, acknowledged=known.acknowledged, absent=absent
        )
    except compares.NotComparable as e:
        raise UsageError(f"{e}; or move the baseline by a reviewed commit", exit_code=gates.UNUSABLE) from None
    gates.save(outcome, candidate)
    _print_outcome(outcome, form, candidate if ci else None, _simulated(folder) or _simulated(candidate))
    return outcome.exit_code


def _print_outcome(outcome: Outcome, form: str, ci_folder: Path | None, simulated: bool) -> None:
    """The gate's rows, what was noted, and the verdict last; `ci_folder`: where what CI reads goes. JSON has stdout to itself,
    so that a script can read it, and the words go to stderr; in Markdown they are paragraphs."""
    from lmmbench import ci, gate

    title = _title(simulated)
    say = _out if form == "table" else _say
    if form == "md":
        _out(gate.markdown(outcome, title))
    else:
        for sentence in outcome.drift:
            say(f"drift: {sentence}")
        _print_rows(outcome.rows, form, simulated)
        for note in outcome.notes:
            say(note)
    if ci_folder:
        ci.gate(outcome, ci_folder, say, title)
    if form != "md":
        say(outcome.result)


def _baseline(text: str, known: Baselines, path: Path, candidate: Path, results: Path) -> tuple[Path, str | None]:
    """The baseline's folder. Raises UsageError (6) when there is none yet, or it is not the one that was recorded."""
    from lmmbench import gate as gates

    entry = known.baselines.get(text)
    try:
        folder, model = _side(entry.run if entry else text, results)
    except UsageError:
        if entry:
            raise UsageError(
                f"the baseline {text!r} is the run {entry.run}, which is not in {results}; fetch it, or unpack it there",
                exit_code=gates.UNUSABLE,
            ) from None
        raise UsageError(
            f"first night: there is no baseline {text!r} in {path}, and no such run; to make this run the baseline, commit "
            f'there, under "baselines": {gates.entry_text(text, candidate)}',
            exit_code=gates.UNUSABLE,
        ) from None
    if entry:
        gates.check_sha(entry, folder, path)
    return folder, model


# --- other work ---------------------------------------------------------------------------------------


@cli.command()
@click.option("--write-hash", metavar="PACK", help="Put the hash of a pack's items.jsonl into its card.")
@_place_options("providers", "tasks")
def check(write_hash: str | None, providers: str | None, tasks_dirs: Sequence[str], debug: bool) -> int:
    """Check packs, providers.yaml and every scorer against every gold answer. Asks nothing, costs nothing."""
    from lmmbench import check as checks
    from lmmbench import packs
    from lmmbench import seal as seals
    from lmmbench.doors import nearest

    tasks = places.tasks_dirs(tasks_dirs)
    if write_hash:
        folders = packs.find(tasks)
        if write_hash not in folders:
            raise UsageError(
                f"no pack is called {write_hash!r}{nearest(write_hash, folders)}; see: lmmbench list tasks"
            )
        _out(f"{write_hash}: items_sha256 {checks.write_hash(folders[write_hash])}")
        return 0
    done, wrong = checks.check_all(tasks, places.providers_file(providers))
    wrong += seals.verify_all(tasks)
    for text in done:
        _out(text)
    for text in wrong:
        _say(f"lmmbench: {text}")
    _out(f"{len(wrong)} problems" if wrong else "all is well")
    return 2 if wrong else 0


@cli.command()
@click.argument("name", metavar="PACK")
@click.option("--lang", type=click.Choice(["en", "ko"]), default="en", show_default=True, help="Its language.")
@click.option(
    "--tables", is_flag=True, help="The tables alone: counts, positions, attestation, blind passes, guessers."
)
@click.option("--write", is_flag=True, help="Fill in the tables of the pack's datasheet.en.md and datasheet.ko.md.")
@_place_options("tasks")
def datasheet(name: str, lang: str, tables: bool, write: bool, tasks_dirs: Sequence[str], debug: bool) -> None:
    """Print a pack's datasheet as Markdown: what it is, how it was made and checked, counts, and what it can tell."""
    from lmmbench import datasheet as sheets

    pack = _pack(name, tasks_dirs)
    if write:
        for path in sheets.write(pack):
            _out(f"wrote {path}")
        return
    lang = _speakable(lang)
    _out(sheets.tables(pack, lang) if tables else sheets.page(pack, lang))


@cli.command()
@click.argument("name", metavar="PACK")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Part of the items that is sealed.",
)
@click.option(
    "--to", required=True, metavar="DIR", help="Where both parts go: DIR/public/PACK and DIR/sealed/PACK-sealed."
)
@click.option(
    "--salt", metavar="FILE", help="The salt of an earlier split, to make the same one again. Default: a new one."
)
@_place_options("tasks")
def seal(name: str, share: float, to: str, salt: str | None, tasks_dirs: Sequence[str], debug: bool) -> None:
    """Split a pack into a part to publish, with salted hashes of the other, and a part to keep to yourself.

    \b
    lmmbench seal korean-dialect --share 0.2 --to split
    lmmbench run --tasks korean --tasks-dir split/public --tasks-dir split/sealed
    """
    from lmmbench import seal as seals

    made = seals.seal(
        _pack(name, tasks_dirs), share, Path(to), seals.read_salt(Path(salt)) if salt else seals.new_salt()
    )
    _out(f"{made.public}: {made.kept} items and {made.taken} hashes, to publish")
    _out(f"{made.sealed}: {made.taken} items and the salt, to keep to yourself")


@cli.command("import", epilog=EXIT_CODES)
@click.argument("what", metavar="WHAT")
@click.argument("paths", nargs=-1, metavar="[FILES]…")
@click.option(
    "--accept-licence", is_flag=True, help="You have read the licence that is shown without this, and accept it."
)
@click.option(
    "--revision", default="", metavar="COMMIT", help="Of a hub's dataset: a commit, or main; what it brings is pinned."
)
@click.option(
    "--from", "source", metavar="DIR", help="A folder of your own that holds the dataset's files; nothing is fetched."
)
@click.option("--repin", is_flag=True, help="Take other bytes than the first import did.")
@click.option(
    "--to",
    metavar="DIR",
    help="Tasks folder to write to (packs), or the file (word list). Default: where the card is; ./tasks; words.jsonl.",
)
@click.option("--name", metavar="PACK", help="aihub-dialect: name of the new pack, for example aihub-jeju.")
@click.option("--stratum", metavar="NAME", help="aihub-dialect: its region, for example jeju.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="aihub-dialect: at most so many sentences.",
)
@click.option(
    "--check", "checked", metavar="PACK", help="opendict: say what the dictionary says to this pack's claims."
)
@_place_options("tasks")
def import_(what: str, paths: tuple[str, ...], tasks_dirs: Sequence[str], **given: Any) -> None:
    """Make a pack or a word list from data of others, on this machine and at your word.

    \b
    lmmbench import public/kmmlu                                     shows the licence, fetches nothing
    lmmbench import public/kmmlu --accept-licence --revision main    fetches, pins, writes the items
    lmmbench import my-pack --accept-licence                         a card of yours that maps a JSONL, CSV or parquet file
    lmmbench import aihub-dialect LABELS… --name aihub-jeju --stratum jeju --accept-licence
    lmmbench import opendict DUMP… [--check korean-dialect]
    """
    files = [Path(p) for p in paths]
    if what == "aihub-dialect":
        _import_aihub(files, given)
    elif what == "opendict":
        _import_opendict(files, given, tasks_dirs)
    elif files:
        raise UsageError(f"{files[0]}: a pack's files are named by its card; name their folder with --from")
    else:
        _import_pack(what, tasks_dirs, given)


def _import_pack(name: str, tasks_dirs: Sequence[str], given: dict[str, Any]) -> None:
    from lmmbench import bench, packs
    from lmmbench.imports import cards

    folder = _pack_folder(name, tasks_dirs)
    if given["to"] is None and places.is_packaged(folder):
        raise UsageError(f"{folder} belongs to the installed package; name a tasks folder of your own with --to")
    to = Path(given["to"]) / packs.name_of(folder) if given["to"] else folder
    source = Path(given["source"]) if given["source"] else None
    options = cards.Options(given["revision"], source, given["accept_licence"], given["repin"], str(bench.today()))
    made = cards.run(folder, to, options)
    for text in made.left_out[:5]:
        _say(f"left out: {text}")
    _out(
        f"{to}: {len(made.lines)} items, {len(made.left_out)} rows left out; ask them with: lmmbench run --tasks {packs.name_of(to)}"
    )


def _import_aihub(files: list[Path], given: dict[str, Any]) -> None:
    from lmmbench import bench, config
    from lmmbench.imports import aihub, cards

    if not files or not given["name"] or not given["stratum"]:
        raise UsageError("name the label files, --name and --stratum; see: lmmbench import --help")
    config.check_id(given["name"], "pack")
    config.check_id(given["stratum"], "stratum")
    cards.ask_for_licence(aihub.LICENCE, aihub.TERMS, aihub.SOURCE, given["accept_licence"])
    to = Path(given["to"] or "tasks") / given["name"]
    count, left_out = aihub.write(files, to, given["stratum"], given["limit"], str(bench.today()))
    for why, n in left_out.most_common():
        _say(f"left out: {n} ({why})")
    _out(f"{to}: {count} items; ask them with: lmmbench run --tasks {given['name']}")


def _import_opendict(files: list[Path], given: dict[str, Any], tasks_dirs: Sequence[str]) -> None:
    from collections import Counter

    from lmmbench.imports import opendict

    if not files:
        raise UsageError("name the dump's files; see: lmmbench import --help")
    if not given["checked"]:
        to = Path(given["to"] or "words.jsonl")
        _out(f"{to}: {opendict.write_list(files, to)} senses")
        return
    found = opendict.check(_pack(given["checked"], tasks_dirs), files)
    for f in found:
        if f.verdict != opendict.VERDICTS[0]:
            _out(visible(f"{f.item} {f.word}: {f.verdict}" + "".join(f" · {s.definition}" for s in f.senses)))
    counts = Counter(f.verdict for f in found)
    _out(" · ".join(f"{v} {counts[v]}" for v in opendict.VERDICTS))


def _pack(name: str, tasks_dirs: Sequence[str]) -> Pack:
    """The pack of that name, or in that folder."""
    from lmmbench import packs

    return packs.load(_pack_folder(name, tasks_dirs))


def _pack_folder(name: str, tasks_dirs: Sequence[str]) -> Path:
    from lmmbench import packs
    from lmmbench.doors import nearest

    folders = packs.find(places.tasks_dirs(tasks_dirs))
    if name in folders:
        return folders[name]
    if (Path(name) / "card.yaml").is_file():
        return Path(name).resolve()
    raise UsageError(f"no pack is called {name!r}{nearest(name, folders)}; see: lmmbench list tasks")


@cli.command()
@click.option(
    "--models", metavar="IDS", help="Model ids, comma-separated. Default: every model that can be asked from here."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--write", is_flag=True, help="Set `verified` to today in providers.yaml, for the models that answered.")
@_place_options("providers")
def doctor(models: str | None, as_json: bool, write: bool, providers: str | None, debug: bool) -> int:
    """Ask each model one tiny question: reachable, who serves it, how fast, what was dropped, when it retires.

    This costs money: one short prompt and at most 16 tokens of answer (and a model's reasoning) for each keyed model.
    Exit code 0 if all that were asked answered, 4 if not.
    """
    from lmmbench import config
    from lmmbench import doctor as doctors

    path = places.providers_file(providers)
    cfg = config.load(path)
    if write:
        doctors.check_own(path)
    names, findings = doctors.choose(models, cfg)
    _say(f"providers: {path} · {doctors.price_text(names, cfg)}")
    findings += doctors.examine(names, cfg, lambda f: _say(f"{f.model}: {f.state}"))
    if as_json:
        _out(_json(doctors.as_json(findings)))
    else:
        _print_findings(findings)
    _note_verified(doctors.to_verify(findings, cfg), path, write)
    return doctors.exit_code(findings)


def _print_findings(findings: list[Finding]) -> None:
    """Skipped models with the reason, a table of the others, and what to do about those that failed."""
    from lmmbench import doctor as doctors

    for f in findings:
        if f.state == "skipped":
            _out(visible(f"skipped {f.model} at endpoint {f.endpoint!r}: {f.text}"))
    _console().print(doctors.table(findings))
    for f in findings:
        for warning in f.warnings:
            _out(visible(f"warning: {f.model}: {warning}"))
        if f.chat_template_sha:
            _out(visible(f"{f.model}: chat template sha256 {f.chat_template_sha}"))
        if f.state == "failed":
            _out(visible(f"failed: {f.text}"))


def _note_verified(names: list[str], path: Path, write: bool) -> None:
    """That real endpoints answered today, in the file or as a hint on stderr."""
    from lmmbench import bench
    from lmmbench import doctor as doctors

    day = bench.today()
    if names and write:
        doctors.write_verified(path, names, day)
        _say(f"wrote verified: {day} to {path} for {', '.join(names)}")
    elif names:
        _say(f"to keep this: write verified: {day} on the rows of {', '.join(names)} in {path}, or use --write")


@cli.command()
@click.argument("name", metavar="RUN")
@_lang
@_place_options("results", "tasks")
def score(name: str, lang: str, results: str | None, tasks_dirs: Sequence[str], debug: bool) -> None:
    """Grade a run again from its journal, offline, and publish it anew. Asks nothing, needs no key."""
    from lmmbench import plan

    where = places.Places(places.tasks_dirs(tasks_dirs), Path(), places.results_dir(results))
    folder = places.find_run(name, where.results)
    run_plan = plan.load(folder)
    published = _published(folder, run_plan, None, where)
    _report(published, folder, 0, "", lang, run_plan)


@cli.command()
@click.argument("name", metavar="RUN")
@_min_coverage
@_lang
@_place_options("results", "tasks")
def merge(
    name: str, min_coverage: float, lang: str, results: str | None, tasks_dirs: Sequence[str], debug: bool
) -> int:
    """Publish a run from the journals of all its shards, and say what they lack. Asks nothing, needs no key.

    Merging again, or in another order, gives the same files. A shard that is still at work is exit code 5.
    """
    from lmmbench import bench, plan

    where = places.Places(places.tasks_dirs(tasks_dirs), Path(), places.results_dir(results))
    folder = places.find_run(name, where.results)
    run_plan = plan.load(folder)
    return _merged(folder, run_plan, None, bench.Execution(min_coverage=min_coverage), where, lang)


@cli.command()
@click.argument("name", metavar="RUN")
@click.option("--to", metavar="FILE", help="Where to; default RUN.tar.gz here.")
@_place_options("results")
def pack(name: str, to: str | None, results: str | None, debug: bool) -> None:
    """Write a run as one file (plan, items, journal, parquet) that score, compare and gate take as a RUN."""
    from lmmbench import archive
    from lmmbench.journal import check_free

    folder = places.find_run(name, places.results_dir(results))
    check_free(folder)
    target = Path(to or f"{folder.name}{archive.SUFFIX}")
    if not target.name.endswith(archive.SUFFIX):
        raise UsageError(
            f"a packed run is a {archive.SUFFIX} file; write for example --to {target.name}{archive.SUFFIX}"
        )
    _out(str(archive.pack(folder, target)))
    _warn_of_sealed(folder)


@cli.command()
@click.option("--force", is_flag=True, help="Overwrite an existing providers.yaml.")
def init(force: bool) -> None:
    """Write a commented providers.yaml into this folder: add your models and keys' names there."""
    from lmmbench.doors import read_text
    from lmmbench.files import write_atomically

    target = Path("providers.yaml")
    if target.exists() and not force:
        raise UsageError("providers.yaml exists here; keep it, or overwrite it with: lmmbench init --force")
    shipped = places._shipped("providers.yaml")
    if target.exists() and target.resolve() == shipped.resolve():
        raise UsageError("this folder's providers.yaml is the one that lmmbench ships; nothing to write")
    write_atomically(target, read_text(shipped).encode("utf-8"))
    _out(f"wrote {target}; set a key (export OPENAI_API_KEY=…), then: lmmbench list models")
