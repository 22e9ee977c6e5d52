"""`ktrdr models unseal`: opens the sealed test part of a model, after asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.confirm import confirm
from ktrdr.cli.options import AsJson, OperationId
from ktrdr.cli.outcome import finish
from ktrdr.cli.watch import watch
from ktrdr.errors import InputError
from ktrdr.formatting import counted

if TYPE_CHECKING:
    from ktrdr.api.schemas.models import Model


def unseal(
    ctx: typer.Context,
    operation_id: OperationId,
    by: Annotated[
        str,
        typer.Option("--by", metavar="WHO", help="Who opens it; user and machine where left out.", show_default=False),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Open it without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open the sealed test part of a model, and evaluate the model on it.

    No training evaluates the rows that a strategy sets aside with
    validation.test. Opening them is recorded in the ledger and cannot be
    undone: the first opening of these bars tests at a significance level of
    2.5%, the second at 1.25%, and so on. Opening the same model again shows
    the same results and spends nothing.

    Example:
      ktrdr models unseal op_training_20230630_k3x9ab --by "Ada, for the report"
    """
    from ktrdr.api.schemas.models import Unsealing
    from ktrdr.payloads.unsealing import MOST_OF_WHO, this_user

    if len(by) > MOST_OF_WHO:
        raise InputError(f"--by has {len(by)} letters; it may have {MOST_OF_WHO}", hint="write a name and a reason")
    client = connect(ctx)
    whole_id = client.whole_id(operation_id, has_model=True)
    if not yes:
        _ask_to_unseal(client.model(whole_id))
    started = client.unseal(whole_id, Unsealing(by=by.strip() or this_user()))
    finish(client, watch(client, started.operation_id), as_json)


def _ask_to_unseal(model: Model) -> None:
    """What was opened before is not asked about, and what has no sealed part is for the server to refuse."""
    from ktrdr.payloads.training import EvaluatedResults

    sealed = model.results.sealed if isinstance(model.results, EvaluatedResults) else None
    if sealed and sealed.is_sealed:
        confirm(
            f"Open {counted(sealed.samples, 'test sample')} of {model.operation_id}, {sealed.first:%Y-%m-%d} to "
            f"{sealed.last:%Y-%m-%d}? It is recorded, spends a part of the significance level of these bars and "
            "cannot be undone."
        )
