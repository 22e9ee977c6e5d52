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
    as_json: AsJson = False,
) -> None:
    """Show which indicators a model depends on.

    The features of each indicator are shuffled in time, in blocks, and what
    the model loses by that on its validation rows is their importance. Of a
    training in folds it is the last fold's model. Sealed rows stay sealed.

    Example:
      ktrdr models explain op_training_20230630_k3x9ab
    """
    from ktrdr.api.schemas.models import Explanation

    client = connect(ctx)
    started = client.explain(client.whole_id(operation_id, has_model=True), Explanation(repeats=repeats))
    finish(client, watch(client, started.operation_id), as_json)
