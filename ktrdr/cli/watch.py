"""Watching an operation to its end: a live bar on a terminal, a line for each epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import typer

from ktrdr.cli.output import fixed, percent, say, words_console
from ktrdr.errors import KtrdrError, ServerUnreachable
from ktrdr.formatting import duration
from ktrdr.operations.status import OperationStatus

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from ktrdr.api.schemas.operations import Operation
    from ktrdr.cli.client import Client

DETACHED = 130
PATIENCE_S = 30.0
FASTEST_S = 0.25
SLOWEST_S = 1.0
# Below it, the time that a whole has left is a guess.
MIN_SHARE_DONE = 0.01


@dataclass(slots=True)
class Snapshot:
    """What is known at one instant: `metrics` holds every epoch so far, `lost_s` how long the server is silent."""

    operation: Operation
    metrics: list[dict[str, Any]] = field(default_factory=list)
    lost_s: float = 0.0

    @property
    def total_epochs(self) -> int | None:
        return getattr(self.operation.progress, "total_epochs", None)

    @property
    def percentage(self) -> float:
        """The server's view may be a second old: an epoch whose metrics are there is done all the same."""
        shown = self.operation.progress.percentage
        if self.metrics and self.total_epochs and self._is_running:
            return max(shown, min(99.9, 100 * len(self.metrics) / self.total_epochs))
        return shown

    @property
    def message(self) -> str:
        running = len(self.metrics) + 1
        if self._is_running and self.metrics and self.total_epochs and running > self._shown_epoch:
            return f"Epoch {min(running, self.total_epochs)}/{self.total_epochs}"
        return self.operation.progress.message

    @property
    def _is_running(self) -> bool:
        return self.operation.status is OperationStatus.RUNNING

    @property
    def _shown_epoch(self) -> int:
        return getattr(self.operation.progress, "epoch_index", None) or 0

    @property
    def best(self) -> dict[str, Any] | None:
        known = [row for row in self.metrics if isinstance(row.get("val_loss"), int | float)]
        return min(known, key=lambda row: row["val_loss"], default=None)

    @property
    def left_s(self) -> float | None:
        """What is left at the pace of the last epochs, or of a whole at that of its parts so far."""
        if self.operation.metadata.get("folds") or self.operation.metadata.get("trials"):
            return self._left_of_whole_s()
        paces = [row["duration"] for row in self.metrics[-5:] if isinstance(row.get("duration"), int | float)]
        if not paces or not self.total_epochs or not self._is_running:
            return None
        return float(sum(paces)) / len(paces) * self.total_epochs * (1 - self.percentage / 100)

    def _left_of_whole_s(self) -> float | None:
        operation, done = self.operation, self.percentage / 100
        if operation.started_at is None or not self._is_running or not MIN_SHARE_DONE <= done < 1:
            return None
        passed = (operation.updated_at - operation.started_at).total_seconds()
        return passed * (1 - done) / done


def watch(client: Client, operation_id: str) -> Operation:
    """Shows the operation until it is terminal and returns it; Ctrl-C detaches, with exit code 130."""
    console = words_console()
    try:
        with LiveView(console) if console.is_terminal else PlainView() as view:
            for snapshot in snapshots(client, operation_id):
                view.show(snapshot)
    except KeyboardInterrupt:
        say("Detached; the operation goes on. Come back with:", f"  ktrdr operations watch {operation_id}")
        raise typer.Exit(DETACHED) from None
    return snapshot.operation


def snapshots(client: Client, operation_id: str, patience_s: float = PATIENCE_S) -> Iterator[Snapshot]:
    """Polls until the operation is terminal; a server that goes away or fails gets `patience_s` to come back."""
    snapshot = Snapshot(client.operation(operation_id))
    began = answered = time.monotonic()
    while True:
        try:
            operation = client.operation(operation_id)
            snapshot.metrics += client.metrics(operation_id, len(snapshot.metrics)).metrics
        except KtrdrError as error:
            if not _may_pass(error):
                raise
            snapshot.lost_s = time.monotonic() - answered
            if snapshot.lost_s > patience_s:
                raise _given_up(client, operation_id, patience_s) from None
        else:
            snapshot.operation, snapshot.lost_s, answered = operation, 0.0, time.monotonic()
        yield snapshot
        if snapshot.operation.status.is_terminal:
            return
        time.sleep(min(SLOWEST_S, max(FASTEST_S, (time.monotonic() - began) / 240)))


def _may_pass(error: KtrdrError) -> bool:
    return isinstance(error, ServerUnreachable) or error.context.get("status", 0) >= 500


def _given_up(client: Client, operation_id: str, patience_s: float) -> ServerUnreachable:
    return ServerUnreachable(
        f"the server at {client.url} has not answered for {patience_s:.0f} s; the operation may still be running",
        hint=f"when the server is back: ktrdr operations watch {operation_id}",
    )


class PlainView:
    """One line for each new epoch or message, for logs and pipes."""

    def __init__(self) -> None:
        self._epochs = 0
        self._said = ""
        self._lost = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def show(self, snapshot: Snapshot) -> None:
        if bool(snapshot.lost_s) != self._lost:
            self._lost = bool(snapshot.lost_s)
            say("the server does not answer; trying again" if self._lost else "the server answers again")
        for row in snapshot.metrics[self._epochs :]:
            say(_epoch_line(row, snapshot.total_epochs))
        self._epochs = len(snapshot.metrics)
        # The epochs' own lines say more than "Epoch 3/10" would.
        if snapshot.message != self._said and not snapshot.message.startswith("Epoch "):
            self._said = snapshot.message
            say(snapshot.message)


def _epoch_line(row: dict[str, Any], total: int | None) -> str:
    if "page" in row:
        return f"page {row['page']}  {row['rows']:,} rows{_span(row)}"
    if "score" in row:
        return _trial_line(row)
    measures = (name for name in ("train_loss", "val_loss", "train_accuracy", "val_accuracy") if name in row)
    part = next((name for name in ("fold", "trial") if name in row), None)
    place = f"{part} {row[part]}" if part else f"epoch {row.get('epoch')}/{total or '?'}"
    return f"{place}  " + "  ".join(f"{name} {fixed(row[name])}" for name in measures)


def _trial_line(row: dict[str, Any]) -> str:
    score, best = fixed(row.get("score")), fixed(row.get("best_score"))
    return f"trial {row['trial']}  {row['epochs']} epochs  score {score}  best so far {best}"


def _span(row: dict[str, Any]) -> str:
    """A page of bars tells the openings of its first and last as seconds since 1970."""
    if not row["rows"]:
        return ""
    first, last = (f"{datetime.fromtimestamp(row[end], UTC):%Y-%m-%d %H:%M}" for end in ("first", "last"))
    return f", {first} to {last}"


class LiveView:
    """A bar with what matters beside and below it, redrawn in place on stderr."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._snapshot: Snapshot | None = None
        self._clock = Elapsed()
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._clock.see(snapshot.operation)

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.constrain import Constrain
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if self._snapshot is None:
            return Text("")
        snapshot = self._snapshot
        # The right margin keeps the terminal's own "^C" from breaking the line.
        bar = Table.grid(padding=(0, 2), expand=True)
        for ratio in (None, 1, None, None):
            bar.add_column(ratio=ratio, no_wrap=True)
        bar.add_row(
            Text(snapshot.message, style="bold"),
            ProgressBar(total=100, completed=snapshot.percentage),
            Text(f"{percent(snapshot.percentage):>5}"),
            Text(self._times(snapshot), style="dim"),
        )
        below = _below(snapshot)
        return Constrain(Group(bar, below) if below else bar, max(20, self._live.console.width - 3))

    def _times(self, snapshot: Snapshot) -> str:
        left = snapshot.left_s
        return duration(self._clock.read_s()) + (f", {duration(left)} left" if left is not None else "")


def _below(snapshot: Snapshot) -> Text | None:
    from rich.text import Text

    if snapshot.lost_s:
        return Text(f"the server does not answer; trying again ({snapshot.lost_s:.0f} s)", style="yellow")
    if running := snapshot.operation.progress.running_parts:
        word = "training" if snapshot.operation.metadata.get("trials") else "fold"
        return Text("\n".join(f"{word} {part.number}  {percent(part.percentage)}  {part.message}" for part in running))
    if not snapshot.metrics:
        return None
    if not {"page", "fold", "trial"}.isdisjoint(snapshot.metrics[-1]):
        return Text(_epoch_line(snapshot.metrics[-1], None))
    last, best = snapshot.metrics[-1], snapshot.best
    parts = [
        f"loss {fixed(last.get('train_loss'))} train {fixed(last.get('val_loss'))} val",
        f"accuracy {fixed(last.get('train_accuracy'), 3)} train {fixed(last.get('val_accuracy'), 3)} val",
    ]
    if best:
        parts.append(f"best epoch {best.get('epoch')}")
    return Text(" · ".join(parts))


class Elapsed:
    """The operation's running time by the server's instants, carried on by the local clock between them."""

    def __init__(self) -> None:
        self._base_s = 0.0
        self._since: float | None = None

    def see(self, operation: Operation) -> None:
        if operation.started_at is None:
            return
        if operation.completed_at is not None:
            self._base_s, self._since = (operation.completed_at - operation.started_at).total_seconds(), None
        elif self._since is None:
            self._base_s = max(0.0, (operation.updated_at - operation.started_at).total_seconds())
            self._since = time.monotonic()

    def read_s(self) -> float:
        return self._base_s + (time.monotonic() - self._since if self._since is not None else 0.0)
