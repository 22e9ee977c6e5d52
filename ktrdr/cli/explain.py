"""`ktrdr models explain`: which indicators a model depends on."""

from __future__ import annotations

from typing import Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson, OperationId
from ktrdr.cli.outcome import finish
from ktrdr.cli.watch import watch


def explain(
    ctx: typer.Context,
    operation_id: OperationId,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, max=100, help="How often each indicator is shuffled.")
    ] = 10,
    drop_one: Annotated[
        bool, typer.Option("--drop-one", help="Train again without each indicator instead of shuffling.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which indicators a model depends on.

    The features of each indicator are shuffled in time, in blocks, and what
    the model loses by that on its validation rows is their importance. Of a
    training in folds it is the last fold's model. Sealed rows stay sealed.

    With --drop-one the model is trained again without each indicator, on the
    same bars with the same seed. Each of these trainings is another try at
    the validation rows, which the ledger counts.

    Example:
      ktrdr models explain op_training_20230630_k3x9ab
      ktrdr models explain last --drop-one
    """
    from ktrdr.api.schemas.models import Explanation

    client = connect(ctx)
    request = Explanation(repeats=repeats, drop_one=drop_one)
    started = client.explain(client.whole_id(operation_id, has_model=True), request)
    finish(client, watch(client, started.operation_id), as_json)
