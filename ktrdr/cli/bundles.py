"""`ktrdr models pack`, `unpack` and `verify`: models in one file each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.downloads import write_download
from ktrdr.cli.loads import FAILED
from ktrdr.cli.options import AsJson, OperationId
from ktrdr.cli.output import note, print_json, print_line, say
from ktrdr.errors import ConflictError, InputError, KtrdrError
from ktrdr.formatting import counted, size_text

if TYPE_CHECKING:
    from ktrdr.payloads.bundles import Verification

Bundle = Annotated[Path, typer.Argument(metavar="FILE", help="A file that `ktrdr models pack` wrote.")]


def pack(
    ctx: typer.Context,
    operation_id: OperationId,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where to write it.", show_default="ID.ktrdr.tar")
    ] = None,
) -> None:
    """Write a training with all its files, results and metrics to one file.

    A training in folds comes with its folds; one that failed or was cancelled,
    with its last checkpoint. The bars are not in it.

    Example:
      ktrdr models pack op_training_20230630_k3x9ab --to model.ktrdr.tar
    """
    from ktrdr.bundles import SUFFIX

    client = connect(ctx)
    whole_id = client.whole_id(operation_id, has_model=True)
    path = to or Path(f"{whole_id}{SUFFIX}")
    if path.exists():
        raise ConflictError(f"{path} is there already", hint="name another file with --to, or remove it")
    written = write_download(path, client.bundle(whole_id), check=_check)
    say(f"Packed {path} ({size_text(written)})")


def _check(path: Path) -> None:
    """Raises KtrdrError when a bundle is not sound."""
    from ktrdr.bundles import verify as verify_bundle

    if differences := verify_bundle(path).differences:
        raise KtrdrError(f"the bundle did not arrive whole: {'; '.join(differences)}", hint="pack it again")


def unpack(ctx: typer.Context, file: Bundle, as_json: AsJson = False) -> None:
    """Take a packed training into the server's home, where it is used like any other.

    It arrives whole or not at all. One that is there already is left alone.

    Example:
      ktrdr models unpack op_training_20230630_k3x9ab.ktrdr.tar
    """
    _check_file(file)
    unpacked = connect(ctx).unpack(file)
    if as_json:
        print_json(unpacked)
        return
    say(
        f"Unpacked {unpacked.operation_id}: {counted(unpacked.files, 'file')}, {size_text(unpacked.size_bytes)}. "
        f"See it with: ktrdr models show {unpacked.operation_id}"
    )


def verify(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="ID|FILE", help="A training, or a packed one.")],
    as_json: AsJson = False,
) -> None:
    """Compare all files of a model with the checksums of their writing.

    A file that was packed is checked here, without a server. Exit code: 0 all
    is as it was, 1 something is not.

    Example:
      ktrdr models verify op_training_20230630_k3x9ab
      ktrdr models verify op_training_20230630_k3x9ab.ktrdr.tar
    """
    verification = _verify(ctx, model)
    if as_json:
        print_json(verification)
    else:
        _print(verification)
    if verification.differences:
        raise typer.Exit(FAILED)


def _verify(ctx: typer.Context, model: str) -> Verification:
    from ktrdr.bundles import verify as verify_bundle

    path = Path(model)
    if path.suffix:
        _check_file(path)
    elif not path.is_file():
        return connect(ctx).verify(model)
    try:
        return verify_bundle(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no file {path}", hint="write one with: ktrdr models pack ID")


def _print(verification: Verification) -> None:
    for sentence in verification.differences:
        print_line(sentence)
    if not verification.differences:
        print_line(f"{verification.subject}: {counted(verification.files, 'file')}, all as written")
    for operation_id in verification.without_checksums:
        note(f"no checksums were recorded for {operation_id}")
