"""`ktrdr ledger`: how often which held-out rows were evaluated, and what is left of a lead: list, show, verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson
from ktrdr.cli.output import few, note, print_fields, print_json, print_line, print_table, say, shortened
from ktrdr.formatting import NOTHING, gain, p_value, percentage, score, signed_points, signed_score

if TYPE_CHECKING:
    from ktrdr.payloads.looks import LedgerAccount, LedgerAccountDetail, Look, LookFigures
    from ktrdr.payloads.selection import BacktestSelection, LookVerdict, SelectionVerdict

LookId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Of a look or an operation, its ending, or last.", show_default=False),
]

app = typer.Typer(no_args_is_help=True, help="How often which held-out rows were evaluated.")


@app.command("list")
def list_accounts(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the accounts: looks at the same bars, whatever these were called.

    A try is one combination of strategy, seed and bars; the same once more is
    no other try. Some have no figures: they were cancelled, failed, or run.
    """
    found = connect(ctx).ledger(limit)
    if as_json:
        print_json(found)
        return
    if not found.accounts:
        say("No looks yet. Every training records one: ktrdr models train --help")
        return
    print_table(
        ("account", ">tries", ">opened", ">bars", "from", "to", "of"),
        [_account_row(account) for account in found.accounts],
    )
    if len(found.accounts) < found.total:
        say(f"{len(found.accounts)} of {found.total} accounts; see more with --limit")


def _account_row(account: LedgerAccount) -> tuple[object, ...]:
    return (
        account.account_id,
        account.tries,
        len(account.openings),
        account.bars,
        account.first.date(),
        account.last.date(),
        f"{few(account.symbols)} {','.join(account.timeframes)}",
    )


@app.command()
def show(ctx: typer.Context, look_id: LookId, as_json: AsJson = False) -> None:
    """Show one account with its looks: that of a look, or of an operation.

    Example:
      ktrdr ledger show look_20230630_k3x9ab
    """
    account = connect(ctx).ledger_account(look_id)
    if as_json:
        print_json(account)
        return
    print_fields(_about(account))
    print_line()
    print_table(("look", "what", ">accuracy", ">lead", ">p", ">return"), [_look_row(look) for look in account.entries])
    for opening in account.openings:
        note(f"{opening.sentence()} Its look is {opening.look_id}.")


def _about(account: LedgerAccountDetail) -> list[tuple[str, object]]:
    return [
        ("account", account.account_id),
        ("tries", account.tries),
        ("without figures", account.without_series),
        ("looks", account.looks),
        ("bars", account.bars),
        ("from", account.first),
        ("to", account.last),
        ("symbols", few(account.symbols)),
        ("timeframes", account.timeframes),
        ("strategies", few(account.strategies)),
    ]


def _look_row(look: Look) -> tuple[object, ...]:
    what = f"{look.kind} {shortened(look.strategy_name)}"
    if look.figures is None:
        return look.look_id, what, NOTHING, NOTHING, NOTHING, NOTHING
    figures = look.figures
    return (
        look.look_id,
        what,
        percentage(figures.accuracy),
        _lead(figures),
        score(figures.p_value),
        gain(figures.total_return),
    )


def _lead(figures: LookFigures) -> str:
    """In percentage points, or of numbers in training variances."""
    if figures.lead is None:
        return NOTHING
    return signed_points(figures.lead) if figures.over != "mean" and figures.ic is None else signed_score(figures.lead)


@app.command()
def verdict(ctx: typer.Context, look_id: LookId, as_json: AsJson = False) -> None:
    """Say what a model's lead is worth beside all tries at the same rows so far.

    The results of a training have the verdict of the day it ended. Every later
    try at the same rows makes its lead a little more likely to be luck.

    Example:
      ktrdr ledger verdict look_20230630_k3x9ab
    """
    found = connect(ctx).ledger_verdict(look_id)
    if as_json:
        print_json(found)
        return
    print_fields(_beside_all_tries(found))
    note(found.selection.verdict)


def _beside_all_tries(found: LookVerdict) -> list[tuple[str, object]]:
    return [
        *_lead_fields(found.selection),
        *(_return_fields(found.backtest) if found.backtest else ()),
        ("look", found.look_id),
        ("operation", found.operation_id),
        ("strategy", found.strategy_name),
    ]


def _lead_fields(selection: SelectionVerdict) -> list[tuple[str, object]]:
    overfitting = selection.overfitting
    return [
        ("beats its baselines", "yes" if selection.beats_baselines else "no"),
        ("p, single run", p_value(selection.single_p_value)),
        ("p, all tries", p_value(selection.p_value)),
        ("tries", selection.tries),
        ("without a result", selection.without_series),
        ("place by lead", selection.rank),
        ("overfitting", NOTHING if overfitting is None else percentage(overfitting)),
    ]


def _return_fields(backtest: BacktestSelection) -> list[tuple[str, object]]:
    deflated = backtest.deflated_sharpe
    return [
        ("p of a gain, all tries", p_value(backtest.zero_p_value)),
        ("p of more than holding", p_value(backtest.holding_p_value)),
        ("independent tries", f"{backtest.effective_trials:.1f}"),
        ("luckiest Sharpe ratio", f"{backtest.expected_sharpe:.2f}"),
        ("deflated Sharpe ratio", NOTHING if deflated is None else percentage(deflated)),
    ]
