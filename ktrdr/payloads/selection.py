"""What is left of a model's lead, or of its returns, once all tries at the same rows are counted."""

from __future__ import annotations

from pydantic import Field

from ktrdr.payloads.payload import Payload


class LuckiestTry(Payload):
    """The lead of the best of all tries, if none of them knew anything and all were as uncertain as this one."""

    median: float = Field(description="Half of all times its lead is below this.")
    upper: float = Field(description="Its lead is above this with the probability of the significance level.")
    quantiles: tuple[float, ...] = Field(description="Its lead at every twentieth of the probability, from 0 to 1.")


class SelectionVerdict(Payload):
    """A model's lead beside all tries at the same rows, as many as there were at the time of this verdict.

    A lead is a share of samples, or training variances of squared error.
    """

    tries: int = Field(
        description="Different inputs that were evaluated on rows that overlap with these, own included."
    )
    without_series: int = Field(
        description="Tries among them of which only the attempt is known: they were cancelled, failed or are under "
        "way. Each counts as an independent one."
    )
    over: str = Field(description="The naive baseline that is hardest to beat, all tries considered.")
    lead: float = Field(description="The model's lead over it.")
    rank: int = Field(description="Place of that lead among all tries with a series, from 1.")
    single_p_value: float = Field(
        description="The largest p-value of the model's tests taken alone: of each naive baseline, and of timing."
    )
    p_value: float = Field(
        description="The same over all tries (stationary bootstrap, max-t); never below the single one."
    )
    level: float = Field(description="Significance level.")
    beats_baselines: bool = Field(description="Whether the p-value over all tries is below the level.")
    luckiest: LuckiestTry = Field(description="What luck alone would reach.")
    overfitting: float | None = Field(
        None,
        description="Probability of backtest overfitting: how often the try with the best lead in one half of these "
        "rows is no better than the median in the other half (CSCV); null with too few tries or rows.",
    )
    verdict: str = Field(description="The same in words.")


class BacktestSelection(Payload):
    """A model's returns beside those of all tries at the same rows."""

    tries: int = Field(
        description="Different inputs that were evaluated on rows that overlap with these, own included."
    )
    without_series: int = Field(description="Tries among them without returns; each counts as an independent one.")
    zero_p_value: float = Field(description="p-value of the mean return above zero, over all tries.")
    holding_p_value: float = Field(description="p-value of the mean return above that of holding, over all tries.")
    effective_trials: float = Field(
        description="As how many independent tries all of them count, by their correlation."
    )
    expected_sharpe: float = Field(
        description="Annual Sharpe ratio to expect of the best of as many tries that know nothing."
    )
    deflated_sharpe: float | None = Field(
        None,
        description="Deflated Sharpe ratio: probability that the true ratio is above the expected one of the luckiest "
        "try (Bailey and López de Prado 2014); null where returns do not vary.",
    )


class LookVerdict(Payload):
    """One look beside all tries at its rows, as they are now."""

    look_id: str = Field(description="The look.")
    operation_id: str = Field(description="Its operation, or the folder of a training without a server.")
    strategy_name: str = Field(description="The strategy, as a slug.")
    selection: SelectionVerdict = Field(description="Its lead beside theirs.")
    backtest: BacktestSelection | None = Field(None, description="Its returns beside theirs; null where it has none.")
