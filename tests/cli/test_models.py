from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import TRAINING, operation, problem, results, started
from tests.cli.conftest import epochs as page
from tests.cli.test_escapes import STYLES, on_a_terminal
from tests.sample_results import backtest, classification, folds

if TYPE_CHECKING:
    from tests.cli.conftest import FakeServer, Run

OTHER = "op_training_20230701_def456"


def train(strategy: Path, *more: str) -> list[str]:
    return ["models", "train", "--strategy", str(strategy), "--symbols", "AAPL", "--timeframes", "1d", *more]


def model(operation_id: str = TRAINING, **changes: object) -> dict[str, object]:
    return {
        "operation_id": operation_id,
        "created_at": "2023-06-30T10:00:00Z",
        "strategy": "test_e2e",
        "symbols": ["AAPL"],
        "timeframes": ["1d"],
        "model_type": "lstm",
        "results": results(),
        **changes,
    }


def test_train_prints_the_id_on_stderr_and_json_on_stdout(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/training/start", started())

    ran = ktrdr(*train(strategy, "--start-date", "2023-01-01", "--end-date", "2023-06-30"))

    assert ran.code == 0
    assert ran.err == f"Training started. Operation ID: {TRAINING}\n"
    assert ran.json == {
        "operation_id": TRAINING,
        "status": "running",
        "message": "Training started",
        "created_at": "2023-06-30T10:00:00.000Z",
    }
    assert server.asked[0].json == {
        "strategy": strategy.read_text(),
        "strategy_name": "test_e2e",
        "symbols": ["AAPL"],
        "timeframes": ["1d"],
        "start_date": "2023-01-01",
        "end_date": "2023-06-30",
    }


def test_values_that_are_set_are_read_as_yaml(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/training/start", started())
    values = ("training.learning_rate=1e-4", "training.early_stopping=null", "indicators[0].period=5", "name=no")

    assert ktrdr(*train(strategy, *(word for value in values for word in ("--set", value)))).code == 0

    assert server.asked[0].json["set"] == {
        "training.learning_rate": 1e-4,
        "training.early_stopping": None,
        "indicators[0].period": 5,
        "name": "no",
    }


def test_symbols_come_with_commas_and_by_repetition(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/training/start", started())

    ktrdr(*train(strategy, "--symbols", "MSFT, SPY,AAPL", "--timeframes", "1h"))

    assert server.asked[0].json["symbols"] == ["AAPL", "MSFT", "SPY"]
    assert server.asked[0].json["timeframes"] == ["1d", "1h"]


def test_every_fault_of_the_strategy_has_its_line(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    faults = [
        {"path": "model.type", "message": "is unknown: 'lstn'", "value": "lstn", "suggestion": "lstm", "line": 2},
        {"path": "training.epochs", "message": "must be at least 1; it is -1", "value": -1},
    ]
    server.on("POST", "/training/start", problem(422, "invalid_strategy", "two", "see the schema", faults=faults))

    ran = ktrdr(*train(strategy))

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        "error: 2 faults:",
        "  line 2: model.type is unknown: 'lstn'; did you mean 'lstm'?",
        "  training.epochs must be at least 1; it is -1",
        "hint: see the schema",
    ]


def test_no_stored_bars_is_exit_code_2_with_the_line_that_mends_it(
    server: FakeServer, ktrdr: Run, strategy: Path
) -> None:
    server.on(
        "POST", "/training/start", problem(409, "series_not_found", "no bars of AAPL 1d", "ktrdr data load AAPL 1d")
    )

    ran = ktrdr(*train(strategy))

    assert (ran.code, ran.err) == (2, "error: no bars of AAPL 1d\nhint: ktrdr data load AAPL 1d\n")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 1_000_001])
def test_a_file_that_is_no_strategy_is_refused_here(
    server: FakeServer, ktrdr: Run, strategy: Path, content: bytes
) -> None:
    strategy.write_bytes(content)

    assert ktrdr(*train(strategy)).code == 2
    assert server.asked == []


def test_follow_ends_with_the_results_beside_the_baselines(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/training/start", started())
    server.on(
        "GET", f"/operations/{TRAINING}", operation("RUNNING", 1), operation("RUNNING", 2), operation("COMPLETED", 4)
    )
    server.on("GET", f"/operations/{TRAINING}/metrics", page(1, 2), page(3, 4))
    server.on("GET", f"/operations/{TRAINING}/results", results())

    ran = ktrdr(*train(strategy, "--follow"))

    assert ran.code == 0
    assert [line for line in ran.err.splitlines() if line.startswith("epoch")] == [
        f"epoch {epoch}/4  train_loss {0.7 - epoch / 100:.4f}  val_loss {0.69 + abs(epoch - 2) / 100:.4f}  "
        f"train_accuracy {0.5 + epoch / 100:.4f}  val_accuracy 0.5500"
        for epoch in (1, 2, 3, 4)
    ]
    scores, _, about = ran.out.partition("\n\n")
    rows = {line.split()[0]: line.split()[1:] for line in scores.splitlines()[2:]}
    assert rows["model"] == ["0.6000", "0.5800", "0.2000", "0.6800"]
    assert rows["majority"] == ["0.5500", "0.5000", "0.1000", "0.6900"]
    assert rows["persistence"] == ["0.4500", "0.4600", "0.1000", "-"]
    fields = dict(line.split(maxsplit=1) for line in about.splitlines())
    assert fields["folder"].endswith(TRAINING)
    assert fields["model"] == "model.safetensors"
    assert "metrics.png" in about


def test_follow_as_json_prints_one_document(server: FakeServer, ktrdr: Run, strategy: Path) -> None:
    server.on("POST", "/training/start", started())
    server.on("GET", f"/operations/{TRAINING}", operation("COMPLETED", 4))
    server.on("GET", f"/operations/{TRAINING}/metrics", page(1, 4))
    server.on("GET", f"/operations/{TRAINING}/results", results())

    ran = ktrdr(*train(strategy, "--follow", "--json"))

    assert ran.json == {"operation_id": TRAINING, "kind": "training", **results()}


def test_a_model_is_shown_with_its_verdict(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", f"/models/{TRAINING}", model())

    ran = ktrdr("models", "show", TRAINING)

    assert ran.code == 0
    assert ran.err == "note on the validation part: The model is ahead.\n"


def test_results_of_a_newer_server_are_refused_in_words(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", f"/operations/{TRAINING}", operation("COMPLETED", 4))
    server.on("GET", f"/operations/{TRAINING}/results", results(version=2))

    ran = ktrdr("operations", "results", TRAINING)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: the results were written by a newer ktrdr (version 2; this one reads 1)\n")


def test_list_shows_each_model_beside_its_baselines(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", "/models", {"models": [model(), model(OTHER, results={"status": "success"})], "total": 3})

    first, second = ktrdr("models", "list").out.splitlines()[1:]

    assert first.split()[-3:] == ["0.6000", "0.5500", "0.4500"]
    assert second.split()[-3:] == ["-", "-", "-"]


COMPARISON = {
    "models": [TRAINING, OTHER],
    "inputs": [
        {"name": "model.layers", "values": [2, 3]},
        {"name": "data_sha256.AAPL.1d", "values": ["2ab" + 61 * "0", None]},
    ],
    "rows": None,
    "winner": None,
    "verdict": "The models share no evaluated rows.",
}


def test_compare_shows_the_inputs_that_differ_the_results_and_the_server_s_verdict(
    server: FakeServer, ktrdr: Run
) -> None:
    server.on("GET", "/models/compare", COMPARISON)
    for operation_id, accuracy in ((TRAINING, 0.6), (OTHER, 0.65)):
        server.on("GET", f"/models/{operation_id}", model(operation_id, results=results(accuracy)))

    ran = ktrdr("models", "compare", TRAINING, OTHER, "--json")

    assert ran.json["inputs"]["model.layers"] == [2, 3]
    assert ran.json["results"]["accuracy"] == [0.6, 0.65]
    assert ran.json["results"]["best epoch"] == [2, 2]
    assert "R²" not in ran.json["results"]
    shown = ktrdr("models", "compare", TRAINING, OTHER)
    assert ["model.layers", "2", "3"] in [line.split() for line in shown.out.splitlines()]
    assert ["data_sha256.AAPL.1d", "2ab0000000…", "-"] in [line.split() for line in shown.out.splitlines()]
    assert ["accuracy", "60.0%", "65.0%"] in [line.split() for line in shown.out.splitlines()]
    assert shown.err == "note: The models share no evaluated rows.\n"


def test_a_fold_is_listed_with_its_number_and_a_whole_with_its_baselines(server: FakeServer, ktrdr: Run) -> None:
    whole = folds().model_copy(update={"evaluation": classification(0.58)})
    first = model(OTHER) | {"fold": 2}
    server.on("GET", "/models", {"models": [first, model(results=whole.model_dump(mode="json"))], "total": 2})

    fold, all_folds = ktrdr("models", "list").out.splitlines()[1:]

    assert "1d fold 2 " in fold
    assert "1d 2 folds " in all_folds
    assert all_folds.split()[-3:] == ["0.5800", "0.5500", "0.4500"]


def test_of_many_models_a_terminal_shows_the_first_few_and_says_so(
    server: FakeServer, ktrdr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"op_training_20261129_{number:06d}" for number in range(30)]
    inputs = [{"name": "model.layers", "values": list(range(30))}]
    server.on("GET", "/models/compare", COMPARISON | {"models": ids, "inputs": inputs})
    for operation_id in ids:
        server.on("GET", f"/models/{operation_id}", model(operation_id))
    monkeypatch.setenv("COLUMNS", "80")

    shown = on_a_terminal(["models", "compare", *ids])
    piped = ktrdr("models", "compare", *ids).out

    lines = STYLES.sub("", shown).splitlines()
    assert [line.split() for line in lines if line.startswith("input")] == [["input", *"ABCDEF"]]
    assert "The tables show 6 of 30 models, and the verdict is on all" in STYLES.sub("", shown)
    assert ["model.layers", *map(str, range(30))] in [line.split() for line in piped.splitlines()]
    assert "AD" in piped


def test_a_long_name_and_many_symbols_make_no_list_wide(server: FakeServer, ktrdr: Run) -> None:
    wide = model() | {"strategy": "n" * 128, "symbols": [f"SYMBOL{number}" for number in range(60)]}
    server.on("GET", "/models", {"models": [wide], "total": 1})

    lines = ktrdr("models", "list").out.splitlines()

    assert max(map(len, lines)) < 160
    assert "SYMBOL0,SYMBOL1,SYMBOL2 and 57 more" in lines[1]
    assert f"{'n' * 39}…" in lines[1]


UNSEALING = "op_unsealing_20261129_i4uz2u"
OPENING = {
    "look_id": "look_20261129_1ir9ce",
    "number": 2,
    "level": 0.0125,
    "opened_at": "2026-11-29T01:47:25.089Z",
    "by": "Ada",
}


def sealed(opening: dict[str, object] | None = None) -> dict[str, object]:
    part = {"samples": 120, "from": "2024-02-14T00:00:00Z", "to": "2024-12-27T00:00:00Z", "opening": opening}
    return model(results={**results(), "sealed": part})


def unsealing(server: FakeServer, opening: dict[str, object] | None = None) -> None:
    evaluation = classification(part="test", verdict="Nothing was selected here.").model_dump(mode="json")
    money = backtest("test").model_dump(mode="json")
    opened = {"kind": "unsealing", "model": TRAINING, "opening": OPENING, "evaluation": evaluation, "money": money}
    server.on("GET", f"/models/{TRAINING}", sealed(opening))
    server.on("POST", f"/models/{TRAINING}/unseal", started(UNSEALING))
    server.on("GET", f"/operations/{UNSEALING}", operation("COMPLETED", operation_id=UNSEALING))
    server.on("GET", f"/operations/{UNSEALING}/metrics", {**page(1, 1), "metrics": []})
    server.on("GET", f"/operations/{UNSEALING}/results", opened)


def test_unseal_asks_and_without_a_terminal_refuses(server: FakeServer, ktrdr: Run) -> None:
    unsealing(server)

    ran = ktrdr("models", "unseal", TRAINING)

    assert (ran.code, server.paths("POST")) == (2, [])
    assert f"Open 120 test samples of {TRAINING}, 2024-02-14 to 2024-12-27?" in ran.err
    assert "--yes" in ran.err


def test_unseal_says_who_asks_and_shows_what_it_spends(server: FakeServer, ktrdr: Run) -> None:
    unsealing(server)

    ran = ktrdr("models", "unseal", TRAINING, "--yes")

    assert ran.code == 0
    (asked,) = [each for each in server.asked if each.method == "POST"]
    assert re.fullmatch(r".+@.+", asked.json["by"])
    assert re.search(r"^opened by +Ada$", ran.out, re.MULTILINE)
    assert re.search(r"^significance level +1\.25%$", ran.out, re.MULTILINE)
    assert "note on the test part: Nothing was selected here." in ran.err


def test_what_was_opened_before_is_not_asked_about(server: FakeServer, ktrdr: Run) -> None:
    unsealing(server, OPENING)

    assert ktrdr("models", "unseal", TRAINING).code == 0


def test_a_model_says_whether_its_test_part_is_sealed(server: FakeServer, ktrdr: Run) -> None:
    server.on("GET", f"/models/{TRAINING}", sealed())
    before = ktrdr("models", "show", TRAINING).err
    server.on("GET", f"/models/{TRAINING}", sealed(OPENING))
    after = ktrdr("models", "show", TRAINING).err

    assert "120 test samples from 2024-02-14 to 2024-12-27 are sealed. To open them, which is counted:" in before
    assert "The test part was opened by Ada at 2026-11-29 01:47 UTC. It is opening 2 of these bars" in after
