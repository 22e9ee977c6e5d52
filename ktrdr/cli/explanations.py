"""What a model depends on, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ktrdr.cli.output import file_fields, note, print_fields, print_line, print_table, shortened, warn
from ktrdr.formatting import count, p_value, percentage, score, signed_score

if TYPE_CHECKING:
    from ktrdr.payloads.ablations import AblationResults, ComparedWithout, UnfinishedAblationResults
    from ktrdr.payloads.evaluation import Lead
    from ktrdr.payloads.explanations import ExplanationResults, FeatureGroup

_WIDTH = 20  # of a formula, which may be long
_UNITS = {"log_loss": "nats", "squared_error": "squared error"}


def print_explanation(results: ExplanationResults) -> None:
    """The indicators, the most important first."""
    print_table(
        ("name", "indicator", f">lost, {_UNITS[results.measure]}", ">accuracy lost", ">p", ">p, Holm"),
        [
            (
                group.name,
                shortened(group.indicator, _WIDTH),
                _with_error(group.importance),
                percentage(group.accuracy_lost),
                _p(group.importance.p_value),
                _p(group.adjusted_p_value),
            )
            for group in results.groups
        ],
        title=f"What shuffling costs on {count(results.samples)} validation samples",
    )
    print_line()
    _print_gains([group for group in results.groups if group.gain is not None])
    print_fields([("model", results.model), ("repeats", results.repeats), *file_fields(results)])
    note(results.verdict)


def _print_gains(groups: list[FeatureGroup]) -> None:
    """What trees split on; nothing for networks."""
    if not groups:
        return
    print_table(
        ("name", "indicator", ">share of gain", ">splits"),
        [
            (group.name, shortened(group.indicator, _WIDTH), percentage(group.gain), group.splits)
            for group in sorted(groups, key=lambda group: -(group.gain or 0.0))
        ],
        title="What the trees split on in training",
    )
    print_line()


def print_ablation(results: AblationResults) -> None:
    """The model, and the trainings without an indicator, the greatest loss first."""
    print_table(
        ("without", f">lost, {_UNITS[results.measure]}", ">accuracy lost", ">p, Holm", ">val loss", ">lead"),
        [
            ("nothing", None, None, None, score(results.val_loss), signed_score(results.lead)),
            *(_row(each) for each in results.indicators if not each.reason),
        ],
        title=f"Trained again without each indicator, on {count(results.samples)} validation samples",
    )
    print_line()
    print_fields([("model", results.model), *file_fields(results)])
    note(results.verdict)
    for each in results.indicators:
        if each.reason:
            warn(f"without {each.name} there is no model ({each.operation_id}): {each.reason}")


def _row(each: ComparedWithout) -> tuple[object, ...]:
    return (
        f"{each.name} ({each.indicator})" if each.name.startswith("indicators[") else each.name,
        _with_error(each.lost) if each.lost else None,
        percentage(each.accuracy_lost),
        None if each.adjusted_p_value is None else _p(each.adjusted_p_value),
        score(each.val_loss),
        signed_score(each.lead),
    )


def print_unfinished_ablation(results: UnfinishedAblationResults) -> None:
    if results.indicators:
        print_table(
            ("without", ">val loss", ">lead", "operation"),
            [
                (each.name, score(each.val_loss), signed_score(each.lead), each.operation_id)
                for each in results.indicators
            ],
        )
        print_line()
    print_fields([("status", results.status)])


def _with_error(lead: Lead) -> str:
    return f"{signed_score(lead.lead)} ± {score(lead.standard_error)}"


def _p(value: float) -> str:
    return p_value(value).replace("less than ", "<")
