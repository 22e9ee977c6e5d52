"""Command lines that ktrdr refuses, with what each must say; the files that they name are in `FILES`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count

FAILED, WRONG = 1, 2
WITHOUT_JSON = ("data watch", "data export", "models pack", "strategies schema", "serve")
BAR = "2024-01-02,10,11,9,10.5,100\n"
HEADER = "timestamp,open,high,low,close,volume\n"
STRATEGY = "name: A walk\nmodel: {type: mlp, layers: 1, hidden_size: 4}\ntraining: {epochs: 1}\n"
TRAIN = "models train --strategy good.yaml --symbols AAPL --timeframes 1d"


@dataclass(frozen=True, slots=True)
class Case:
    """A command line that is refused.

    line: the words behind `ktrdr`; names in capitals as TRAINING stand for what the test has made
    words: what the refusal names: the place, the value, and what mends it
    code: the exit code
    env: settings besides
    """

    line: str
    words: tuple[str, ...]
    code: int = WRONG
    env: tuple[tuple[str, str], ...] = ()

    @property
    def has_json(self) -> bool:
        return not any(f" {command} " in f" {self.line} " for command in WITHOUT_JSON)


def _faulty(yaml: str, *words: str) -> tuple[str, tuple[str, ...]]:
    return yaml, words


STRATEGIES = [
    _faulty("", "is empty"),
    _faulty(
        STRATEGY
        + "indicators: [{name: rsi, symbol: A/B}, {table: macro, column: cpi, lag: 2}, {table: 1x, column: cpi}]\n",
        *("3 faults", "indicators[0].symbol", "'A/B'", "indicators[1].lag", "column", "indicators[2].table", "'1x'"),
    ),
    _faulty("# nothing but a comment\n", "is empty"),
    _faulty("a\0b", "line 1", "binary data"),
    _faulty("just words", "must be a mapping", "'just words'"),
    _faulty("a: 1\n---\nb: 2\n", "line 2", "one document"),
    _faulty("a: &x 1\n", "line 1", "anchors"),
    _faulty("a: !!python/none 1\n", "line 1", "tags"),
    _faulty("a: [1, 2\n", "line", "not valid YAML"),
    _faulty("a: \x07\n", "not valid YAML"),
    _faulty("? [a, b]\n: 1\n", "plain text as keys"),
    _faulty("name: a\nname: b\n", "line 2", "name", "first on line 1"),
    _faulty("a: " + "[" * 20 + "]" * 20, "nested more than 16"),
    _faulty("a: [" + "1," * 5_001 + "]", "more than 5,000 entries"),
    _faulty("".join(f"k{each}: 1\n" for each in range(60)), "more faults"),
    _faulty(
        STRATEGY.replace("mlp", "mpl").replace("epochs: 1", "epochs: -1") + "indicators: [{name: rsx}]\n",
        *("3 faults", "model.type", "'mlp'", "training.epochs", "at least 1; it is -1", "indicators[0].name", "'rsi'"),
    ),
    _faulty(STRATEGY.replace("A walk", "[1]"), "line 1", "name", "must be text", "a list of 1"),
    _faulty(STRATEGY.replace("A walk", "''"), "name", "at least 1 characters"),
    _faulty(STRATEGY.replace("A walk", "x" * 129), "name", "at most 128 characters"),
    _faulty(STRATEGY.replace("model", "modl"), "modl", "is not a key of a strategy", "'model'"),
    _faulty(STRATEGY.replace("type: mlp", "type: mpl"), "line 2", "model.type", "'mpl'", "did you mean 'mlp'"),
    _faulty("name: A walk\nmodel: mlp\n", "line 2", "model", "must be a mapping; it is 'mlp'"),
    _faulty(STRATEGY.replace("type: mlp, ", ""), "model.type", "is missing"),
    _faulty(STRATEGY.replace("layers: 1", "layers: 0"), "model.layers", "at least 1; it is 0"),
    _faulty(STRATEGY.replace("layers: 1", "layers: 99"), "model.layers", "at most 16; it is 99"),
    _faulty(STRATEGY.replace("layers: 1", "layers: 1.5"), "model.layers", "whole number; it is 1.5"),
    _faulty(STRATEGY.replace("layers: 1", "layers: two"), "model.layers", "whole number; it is 'two'"),
    _faulty(STRATEGY.replace("layers: 1", "dropout: 1"), "model.dropout", "less than 1; it is 1"),
    _faulty(STRATEGY.replace("layers: 1", "dropout: .nan"), "model.dropout", "finite number; it is nan"),
    _faulty(STRATEGY.replace("layers: 1", "dropout: high"), "model.dropout", "be a number; it is 'high'"),
    _faulty(STRATEGY.replace("layers: 1", "kernel_size: 3"), "model.kernel_size", "of model of type mlp", "of tcn"),
    _faulty(STRATEGY.replace("mlp, layers: 1, hidden_size: 4", "transformer, heads: 3"), "heads", "hidden_size is 64"),
    _faulty(
        "name: Trees\nmodel: {type: gradient_boosting}\ntraining: {schedule: {type: cosine}}\n",
        *("line 3: training.schedule must be absent", "gradient_boosting", "same learning_rate"),
    ),
    _faulty(STRATEGY.replace("{epochs: 1}", "{schedule: {type: cosin}}"), "training.schedule.type", "mean 'cosine'"),
    _faulty(STRATEGY + "training: 5\n", "line 4", "training", "first on line 3"),
    _faulty(STRATEGY.replace("{epochs: 1}", "fast"), "training", "must be a mapping; it is 'fast'"),
    _faulty(STRATEGY.replace("{epochs: 1}", "{learning_rate: 0}"), "training.learning_rate", "greater than 0"),
    _faulty(STRATEGY.replace("{epochs: 1}", "{optimizer: adm}"), "training.optimizer", "one of adam", "'adam'"),
    _faulty(STRATEGY + "features: {returns: 1}\n", "features.returns", "true or false; it is 1"),
    _faulty(STRATEGY + "features: {returns: false}\n", "features.returns", "no inputs"),
    _faulty(STRATEGY + "timeframes: 1d\n", "timeframes", "must be a list; it is '1d'"),
    _faulty(STRATEGY + "timeframes: [1x]\n", "timeframes[0]", "'1x'", "one of 1m"),
    _faulty(STRATEGY + "timeframes: [1d, 1h]\n", "timeframes", "shortest first"),
    _faulty(STRATEGY + "calendar: '#'\n", "calendar", "an exchange's code", "'#'"),
    _faulty(STRATEGY + "calendar: XNYZ\n", "calendar", "'XNYZ'", "did you mean"),
    _faulty(STRATEGY + "indicators: {}\n", "indicators", "must be a list; it is a mapping"),
    _faulty(STRATEGY + "indicators: [rsi]\n", "indicators[0]", "must be a mapping; it is 'rsi'"),
    _faulty(STRATEGY + "indicators: [{name: rsx}]\n", "indicators[0].name", "'rsx'", "'rsi'"),
    _faulty(STRATEGY + "indicators: [{name: rsi, period: 14, timeperiod: 14}]\n", "period", "timeperiod"),
    _faulty(STRATEGY + "indicators: [{name: rsi, period: 1.5}]\n", "indicators[0].period", "whole number; it is 1.5"),
    _faulty(STRATEGY + "indicators: [{name: rsi, period: 1}]\n", "indicators[0].period", "at least 2; it is 1"),
    _faulty(STRATEGY + "indicators: [{name: rsi, perod: 3}]\n", "indicators[0].perod", "did you mean 'period'"),
    _faulty(STRATEGY + "indicators: [{name: rsi, period: [3]}]\n", "indicators[0].period", "a list of 1"),
    _faulty(STRATEGY + "indicators: [{name: mavp, minperiod: 30}]\n", "indicators[0]", "sources"),
    _faulty(STRATEGY + "indicators: [{name: ma, matype: 8, period: 1, x: 2}]\n", "indicators[0].x"),
    _faulty(STRATEGY + "indicators: [{name: atr, source: close}]\n", "indicators[0].source", "atr reads high"),
    _faulty(STRATEGY + "indicators: [{name: beta, source: close}]\n", "indicators[0].source", "several"),
    _faulty(STRATEGY + "indicators: [{name: rsi, sources: [open, close]}]\n", "indicators[0].sources", "several"),
    _faulty(STRATEGY + "indicators: [{name: beta, sources: [open, low, close]}]\n", "must name 2 series"),
    _faulty(STRATEGY + "indicators: [{name: rsi, source: clse}]\n", "indicators[0].source", "'close'"),
    _faulty(STRATEGY + "indicators: [{name: rsi, as: '1 x'}]\n", "indicators[0].as", "begin with a letter", "'1 x'"),
    _faulty(STRATEGY + "indicators: [{name: rsi}, {name: rsi}]\n", "indicators[1]", "feature rsi_14", "`as`"),
    _faulty(STRATEGY + "timeframes: [1d]\nindicators: [{name: rsi, timeframe: 1h}]\n", "indicators[0].timeframe", "1d"),
    _faulty(STRATEGY + "indicators: [{expr: close / open}]\n", "indicators[0].as is missing"),
    _faulty(STRATEGY + "indicators: [{expr: close - open, as: x}]\n", "indicators[0].expr", "a price", "divide it"),
    _faulty(STRATEGY + "indicators: [{expr: 'lag(returns, -1)', as: x}]\n", "character 1", "looks ahead", "it is -1"),
    _faulty(STRATEGY + "indicators: [{expr: 'mean(returns, n)', as: x, n: 0}]\n", "indicators[0].n", "at least 1"),
    _faulty(STRATEGY + "indicators: [{expr: returns, as: x, n: 2}]\n", "indicators[0].n", "not named in returns"),
    _faulty(STRATEGY + "indicators: [{expr: returns, as: x, source: low}]\n", "indicators[0].source", "with name"),
    _faulty(STRATEGY + "indicators: [{expr: returns, as: x, mean: 2}]\n", "indicators[0].mean", "of a function"),
    _faulty(STRATEGY + "indicators: [{expr: returns, as: x, a-b: 2}]\n", "indicators[0].a-b", "no name"),
    _faulty(STRATEGY.replace("layers: 1", "layers: {int: [1, 2]}"), "line 2: model.layers is a range", "search start"),
    _faulty(STRATEGY + "search: {seeds: 3}\n", "line 4: search is for", "search start"),
    _faulty(STRATEGY + "labels: {quantiles: [0.6, 0.4]}\n", "labels.quantiles", "rise and lie between 0 and 1"),
    _faulty(STRATEGY + "labels: {quantiles: [0.5], threshold: 0.1}\n", "labels.quantiles", "be absent where"),
    _faulty(STRATEGY + "labels: {quantiles: []}\n", "labels.quantiles", "at least 1 entries"),
    _faulty(STRATEGY + "labels: {quantiles: [0.1, 0.2, 0.3]}\n", "labels.quantiles", "at most 2 entries"),
    _faulty(STRATEGY + "validation: {embargo: 1.5}\n", "validation.embargo", "a count of bars or a share"),
    _faulty(STRATEGY + "validation: {type: k_fold}\n", "validation.type", "'k_fold'", "purged_kfold"),
]

RANGES = """name: A search
model: {type: mlp, layers: {int: [2, 1]}, hidden_size: {int: [1, 2], stp: 1}}
training: {learning_rate: {log: [0, 1]}, optimizer: {choice: [adam, adam]}, seed: {choice: [1, {int: [2, 3]}]}}
"""
SEARCHES = [
    _faulty(
        RANGES,
        *("6 faults", "search is missing", "line 2: model.layers.int must rise", "model.hidden_size.stp", "'step'"),
        *("training.learning_rate.log must lie above 0", "optimizer.choice must name each value once", "no ranges"),
    ),
    _faulty(STRATEGY + "search: {seeds: 3, trials: 2, sampler: tp}\n", "search.sampler", "did you mean 'tpe'"),
    _faulty(STRATEGY + "search: {seeds: 3, trials: 2}\n", "line 4: search.seeds must stand without trials"),
    _faulty(STRATEGY.replace("layers: 1", "layers: {int: [1, 17]}") + "search: {trials: 3}\n", "layers.int[1]", "17"),
    _faulty(STRATEGY.replace("layers: 1", "layers: {int: [1, 2]}") + "search: {trials: 3}\n", "trials", "at most 2"),
    _faulty(
        STRATEGY.replace("mlp, layers: 1, hidden_size: 4", "transformer, heads: {int: [1, 64]}")
        + "search: {trials: 9}\n",
        *("line 4: search makes strategies that are refused", "with model.heads", "divide hidden_size"),
    ),
    _faulty(
        STRATEGY + "indicators:\n" + "- {name: sma, period: {int: [2, 9]}}\n" * 65 + "search: {trials: 3}\n",
        *("line 70: search may vary at most 64 keys", "65 ranges"),
    ),
    _faulty(STRATEGY + "search: {trials: 3}\n", "line 4: search has nothing to vary", "seeds: 5"),
]

TIMES = "2024-01-02 09:30,10,11,9,10.5,100\n2024-01-02 10:30,10,11,9,10.5,100\n"


@dataclass(frozen=True, slots=True)
class Import:
    """A file of bars that is refused.

    content: the file's content
    words: what the refusal names
    series: symbol, timeframe and options
    """

    content: bytes | str
    words: tuple[str, ...]
    series: str = "ACME 1d"
    suffix: str = ".csv"


def _file(content: bytes | str, *words: str, series: str = "ACME 1d", suffix: str = ".csv") -> Import:
    return Import(content, words, series, suffix)


IMPORTS = [
    _file("", "is empty", ".parquet"),
    _file(HEADER, "no rows of data"),
    _file(HEADER + BAR, "4 that are skipped", "--skip", series="ACME 1d --skip 4"),
    _file(b"PAR1 and no more", "damaged", "export it again", suffix=".parquet"),
    _file("words", "is not a Parquet file", suffix=".parquet"),
    _file(b"a,b\0\n", "binary file"),
    _file("<!doctype html><p>no\n", "web page"),
    _file(HEADER.encode() + b"2024-01-02,\xff\n", "line 2", "not UTF-8", "--encoding cp1252"),
    _file(HEADER + f'"{BAR}', "line 2", "quotation mark", "remove it"),
    _file(HEADER.replace("close", "clse") + BAR, "no column close", "--column close=NAME"),
    _file(HEADER.replace("volume", "close_") + BAR, "'close' and 'close_' mean the same", "--column"),
    _file(HEADER + BAR, "no column 'Last'", "it has timestamp", series="ACME 1d --column close=Last"),
    _file("timestamp,open,high,low,close\n" + BAR, "line 2", "more fields than the 5 names"),
    _file("a,b,c\n1,2,3\n", "no column timestamp"),
    _file("1,2,3\n4,5,6\n", "no header line", "line 1", series="ACME 1d --no-header"),
    _file("2024-01-02,9,1,11,10.5,100\n", "no header line", "line 1"),
    _file("2024-01-02,10,11,9,10.5,10.6\n2024-01-03,10,11,9,10.5,10.6\n", "column 6 looks like a price"),
    _file(HEADER + BAR + "x,10,11,9,10.5,100\n", "'x'", "line"),
    _file(HEADER + BAR + BAR, "line", "2"),
    _file(HEADER + "2024-01-02,10,9,11,10.5,100\n", "line 2", "high"),
    _file(HEADER + "03/04/2024,10,11,9,10.5,100\n", "'03/04/2024' may be", "--date-format"),
    _file(HEADER + "13/04/2024,10,11,9,10.5,1\n04/13/2024,10,11,9,10.5,1\n", "contradict each other"),
    _file(HEADER.replace(",", ";") + "2024-01-02;1.000;1.000;1.000;1.000;100\n", "'1.000' may be", "--decimal ."),
    _file(HEADER + '2024-01-02,"1,000","1,000","1,000","1,000",100\n', "'1,000' may be", "--decimal ,"),
    _file(HEADER + '2024-01-02,"1,5",1.5,1.5,1.5,100\n', "points and commas contradict", "--decimal"),
    _file(HEADER + TIMES + "2024-01-02T11:30Z,10,11,9,10.5,1\n", "have a zone and others none", series="ACME 1h"),
    _file(HEADER + TIMES + BAR, "a time of day and others none", series="ACME 1h"),
    _file(HEADER + BAR, "dates without a time of day", "import it as 1d", series="ACME 1h"),
    _file(
        HEADER + "2024-03-10 02:30,10,11,9,10.5,100\n",
        "does not exist in America/New_York",
        "--timezone UTC",
        series="ACME 1h --timezone America/New_York",
    ),
    _file(HEADER + "09:30,10,11,9,10.5,100\n", "times of day without a date", "'09:30'"),
    _file(HEADER + BAR, "no column of symbols to take X from", "leave --only out", series="ACME 1d --only X"),
    _file("symbol," + HEADER + "X," + BAR, "holds X, and ACME is asked for", "--only X"),
    _file("symbol," + HEADER + "X," + BAR, "does not hold Y, but X", series="ACME 1d --only Y"),
    _file(HEADER + TIMES, "which are not 1d bars", "import such bars as 1h"),
    _file(
        HEADER
        + "".join(
            f"2024-01-02 {time},10,11,9,10.5,1\n"
            for hour in range(0, 24, 3)
            for time in (f"{hour:02}:00", f"{hour:02}:30", f"{hour + 1:02}:30")
        ),
        "8 bars 0:30:00 or so after the one before",
        series="ACME 1h",
    ),
    _file(
        HEADER + "".join(f"2024-{month:02}-01,10,11,9,10.5,1\n" for month in range(1, 13)),
        "bars at least 29 days",
        "as 1w",
    ),
    _file(HEADER.replace(",", ";") + "2024-01-02;1.5;1.5;1.5;1.5;1.000\n", "volume '1.000' may be"),
    _file(
        HEADER + "".join(f"2024-01-02 0{hour}:00,10,11,9,10.5,1\n" for hour in range(3, 7)),
        "with the stored bars of SPY 1h",
        "--replace",
        series="SPY 1h",
    ),
    _file(
        HEADER + "2024-05-02T21:00Z,9,9,9,9,1\n2024-05-03T21:00Z,9,9,9,9,1\n",
        "the stored days of FLAT 1d open at",
        "--replace",
        series="FLAT 1d",
    ),
    _file(HEADER + "2099-01-05,10,11,9,10.5,100\n", "have not closed yet", "2099-01-05"),
]

OPTIONS = [
    Case("data import-table absent.csv --known-at release", ("absent.csv",)),
    Case("data import-table good.csv --known-at relese", ("'relese'", "it has timestamp")),
    Case("data import-table good.csv --known-at timestamp --decimal x", ("decimal", "'x'")),
    Case("data import-table good.csv --known-at timestamp --timezone Mars", ("'Mars'", "time zone")),
    Case("data import-table good.csv --known-at timestamp --name 9", ("'9'", "begin with a letter")),
    Case("data tables show 9", ("'9'", "begin with a letter")),
    Case("data tables show macro", ("no table macro", "data import-table")),
    Case("data tables rm macro --yes", ("no table macro", "data import-table")),
    Case("data import good.csv ACME 1d --delimiter ab", ("delimiter", "'ab'", "tab")),
    Case("data import good.csv ACME 1d --format metatrade4", ("'metatrade4'", "metatrader4")),
    Case("data import good.csv ACME 1d --decimal , --thousands ,", ("--decimal and --thousands", "','")),
    Case("data import good.csv ACME 1d --date-format XYZ", ("'XYZ'", "DMY")),
    Case("data import good.csv ACME 1d --timezone Mars", ("'Mars'", "time zone")),
    Case("data import good.csv ACME 1d --encoding klingon", ("'klingon'", "utf-8")),
    Case("data import good.csv ACME 1d --column clse=Last", ("'clse'", "'close'")),
    Case("data import good.csv ACME 1d --column close", ("'close'", "close=Last")),
    Case("data import good.csv ACME 1d --decimal x", ("--decimal", "'.'")),
    Case("data import good.csv ACME", ("which symbol and timeframe", "--name")),
    Case("data import absent*.csv ACME 1d", ("absent*.csv",)),
    Case("data import absent.csv ACME 1d", ("absent.csv",)),
    Case("data import words.txt ACME 1d", ("words.txt", ".parquet")),
    Case("data import good.csv --name {symbol}", ("{timeframe}", "--name")),
    Case("data import good.csv 1d --name x_{symbol}", ("good.csv", "x_{symbol}", "rename"), FAILED),
    Case("data import good.csv words.txt ACME 1d --replace", ("--replace", "2 files")),
    Case("data import good.csv ../ACME 1d", ("'../ACME'",)),
    Case("data import good.csv A,B 1d", ("'A,B'",)),
    Case("data import good.csv ACME 1x", ("'1x'", "1d")),
    Case("data load AAPL", ("no timeframe is named", "--timeframes 1d")),
    Case("data load AAPL 1d --provider sampl", ("'sampl'", "'sample'")),
    Case("data load AAPL 1d --provider csv", ("csv",)),
    Case("data load AAPL 1d --start-date 31.12.2023", ("'31.12.2023'", "YYYY-MM-DD")),
    Case("data load AAPL 1d --start-date 2023-12-31 --end-date 2023-01-01", ("2023-12-31", "2023-01-01", "exchange")),
    Case("data load AAPL 1d --from 2y --start-date 2023-01-01", ("--from", "--start-date")),
    Case("data load AAPL 1d --from 2x", ("'2x'", "6mo")),
    Case("data load AAPL 1d --from 99999y", ("'99999y'",)),
    Case("data load AAPL 1d --provider sample --start-date 2090-01-01", ("2090-01-01",), FAILED),
    Case("data load NOPE 1d --provider sample", ("NOPE", "AAPL"), FAILED),
    Case("data load EMPTY 1d --provider sample", ("EMPTY", "AAPL"), FAILED),
    Case("data load AAPL 1d --provider synthetic", ("stored from sample", "--replace")),
    Case("data load SYN 1d --provider synthetic --start-date 2023-01-07 --end-date 2023-01-08", ("weekday",), FAILED),
    Case("data load AAPL 3m --provider sample", ("3m", "1d")),
    Case("data load BTC-USDT 1d --provider ccxt:binanze", ("binanze", "binance")),
    Case("data load AAPL 2h --provider yahoo", ("2h",)),
    Case("data load AAPL 1m --provider yahoo --start-date 2000-01-01", ("1m", "days only")),
    Case("data watch AAPL 1d --every 0s", ("'0s'", "15m")),
    Case("data show NOPE 1d", ("NOPE 1d", "ktrdr data load")),
    Case("data show AAPL 1d --start-date 2090-01-01", ("2090-01-01",)),
    Case("data show AAPL dai", ("'dai'", "1d")),
    Case("data check NOPE 1d", ("NOPE 1d",)),
    Case("data check AAPL 1d --calendar XNYZ", ("'XNYZ'", "did you mean")),
    Case("data check AAPL 1d --plot a.txt", ("a.txt", "PNG")),
    Case("data check NOPE 1d --calendar XNYS", ("NOPE",)),
    Case("data check AAPL 1d --plot absent/a.png", ("absent/a.png", "cannot be written"), FAILED),
    Case("data resample AAPL 1d 1h", ("1h bars cannot be made of 1d bars", "1w")),
    Case("data resample NOPE 1d 1w", ("NOPE 1d",)),
    Case("data export AAPL 1d -o a.txt", ("a.txt", ".parquet")),
    Case("data export NOPE 1d -o a.csv", ("NOPE 1d",)),
    Case("data rm NOPE --yes", ("NOPE", "ktrdr data list")),
    Case("data rm NOPE 1d --yes", ("NOPE 1d",)),
    Case("data rm AAPL 1d", ("--yes",)),
    Case("data rm NOPE", ("NOPE", "ktrdr data list")),
    Case("data providers nobody", ("'nobody'", "yahoo")),
    Case("operations show op_training_20230630_abc123", ("op_training_20230630_abc123", "operations list")),
    Case("search show TRAINING", ("TRAINING is no search", "operations list --type search")),
    Case("operations show a/b", ("'a/b'",)),
    Case("operations cancel TRAINING", ("TRAINING", "COMPLETED")),
    Case("operations resume TRAINING", ("TRAINING", "COMPLETED")),
    Case("operations metrics TRAINING --cursor 999", ("999", "cursor=0")),
    Case("operations list --status done", ("--status", "done")),
    Case("operations prune --older-than soon", ("'soon'", "30d")),
    Case("operations prune --older-than 999y", ("'999y'", "hundred years")),
    Case("models show LOAD", ("LOAD", "ktrdr models list")),
    Case("operations resume DIVERGED", ("DIVERGED would fail again", "learning_rate")),
    Case("operations resume BROKEN", ("BROKEN ended before its first checkpoint", "ktrdr models train")),
    Case("operations resume REFUSED", ("the file of operation REFUSED is not kept", "data import FILE ACME 1d")),
    Case("operations watch DIVERGED", ("loss", "training.learning_rate"), FAILED),
    Case("models export BOOSTED", ("BOOSTED is gradient boosting", "models predict")),
    Case("models backtest LOAD", ("LOAD", "has no model")),
    Case("models backtest TRAINING NOPE", ("NOPE 1d", "ktrdr data load")),
    Case("models backtest TRAINING --from 2024-02-01 --to 2024-01-01", ("2024-02-01 is after", "exchange the two")),
    Case("models backtest TRAINING --from 2090-01-01", ("no bar in this range", "--from"), FAILED),
    Case("models backtest TRAINING --set training.epochs=5", ("training.epochs cannot be set", "positions.rule=")),
    Case("models backtest TRAINING --set positions.rule=threshold", ("positions.threshold is missing", "such as 0.6")),
    Case("models backtest TRAINING --set positions.rule=x", ("positions.rule must be one of sign", "positions.rule=")),
    Case("models explain LOAD", ("LOAD", "has no model")),
    Case("models explain LOAD --drop-one", ("LOAD", "has no model")),
    Case("models unseal TRAINING --yes", ("TRAINING has no sealed test part", "validation.test")),
    Case("models unseal LOAD --yes", ("LOAD", "has no model")),
    Case(f"models unseal TRAINING --yes --by {'x' * 201}", ("--by has 201 letters", "200")),
    Case("models predict TRAINING AAPL 1h", ("trained on bars of 1d", "1h")),
    Case("models predict TRAINING NOPE 1d", ("NOPE 1d", "ktrdr data load")),
    Case("models export TRAINING --format tf", ("'tf'", "onnx")),
    Case("models export TRAINING -o absent/x.onnx", ("absent/x.onnx", "cannot be written")),
    Case("models reproduce LOAD", ("LOAD", "trainings can be reproduced")),
    Case("models compare TRAINING", ("one model alone", "TRAINING has no folds")),
    Case("runs --where lead", ("'lead' is no condition", "lead>0.01")),
    Case("runs --where lead>high", ("lead holds numbers", "'high'")),
    Case("runs --sort -leed", ("'leed'", "did you mean lead?")),
    Case("runs tag TRAINING", ("no tag", "ktrdr runs tag ID +baseline")),
    Case("runs tag TRAINING +a!b", ("add", "'a!b'")),
    Case("runs note LOAD words", ("LOAD is no training", "ktrdr runs")),
    Case("models compare TRAINING TRAINING", ("with itself",)),
    Case("models compare TRAINING LOAD", ("LOAD", "ktrdr models list")),
    Case("models train --strategy absent.yaml --symbols AAPL", ("absent.yaml",)),
    Case("models train --strategy . --symbols AAPL", (".", "cannot be read")),
    Case("models train --strategy large.yaml --symbols AAPL", ("large.yaml", "1,000,000")),
    Case("models train --strategy binary.yaml --symbols AAPL", ("binary.yaml", "UTF-8")),
    Case("models train --strategy good.yaml --symbols , --timeframes 1d", ("--symbols", "names nothing")),
    Case("models train --strategy good.yaml --symbols AAPL", ("timeframe", "--timeframes 1d")),
    Case(f"{TRAIN} --set training.lerning_rate=1", ("training.lerning_rate", "did you mean 'learning_rate'")),
    Case(f"{TRAIN} --set training.epochs=0", ("training.epochs", "at least 1; it is 0")),
    Case(f"{TRAIN} --set training.epochs", ("--set training.epochs", "--set training.learning_rate=0.001")),
    Case(f"{TRAIN} --set training.epochs=[1", ("--set training.epochs=[1", "YAML")),
    Case(f"{TRAIN} --set indicators[3].period=5", ("indicators[3].period", "indicators is null")),
    Case(f"{TRAIN} --set a..b=5", ("a..b is no place", "indicators[0].period")),
    Case("models train --strategy daily.yaml --symbols AAPL --timeframes 1h", ("1d", "1h")),
    Case("models train --strategy good.yaml --symbols NOPE --timeframes 1d", ("NOPE 1d", "ktrdr data load")),
    Case(
        "models train --strategy good.yaml --symbols AAPL --timeframes 1d --end-date 2023-01-20", ("too few bars", "13")
    ),
    Case("models train --strategy good.yaml --symbols AAPL --timeframes 1d --start-date 2090-01-01", ("2090-01-01",)),
    Case("models train --strategy flat.yaml --symbols AAPL --timeframes 1d", ("'flat'", "threshold")),
    Case("models train --strategy logs.yaml --symbols AAPL --timeframes 1d", ("AAPL", "not finite")),
    Case("models train --strategy gaps.yaml --symbols HOLED --timeframes 1d", ("lacks 7 bars in a row", "max_gap")),
    Case("models train --strategy whole.yaml --symbols HOLED --timeframes 1d", ("HOLED 1d", "data.min_coverage")),
    Case(
        "models train --strategy cuda.yaml --symbols AAPL --timeframes 1d --follow", ("device is cuda", "cpu"), FAILED
    ),
    Case("models train --strategy return.yaml --symbols FLAT --timeframes 1d", ("have the same target", "horizon")),
    Case("models train --strategy good.yaml --symbols AAPL,LATE --timeframes 1d", ("LATE", "samples; at least")),
    Case("models train --strategy two.yaml --symbols HOLED", ("HOLED: no 1w bar follows", "1d bars go on")),
    Case("models train --strategy wide.yaml --symbols HOLED --timeframes 1d", ("HOLED",)),
    Case("models train --strategy huge.yaml --symbols LATE --timeframes 1d", ("LATE",)),
    Case("models predict TRAINING FEW 1d", ("FEW has too few closed bars", "window"), FAILED),
    Case("data resample FEW 1d 1w", ("make no whole 1w bar", "--calendar")),
    Case("models train --strategy far.yaml --symbols AAPL --timeframes 1d --end-date 2023-08-01", ("AAPL", "bars")),
    Case("models train --strategy flat.yaml --symbols AAPL --timeframes 1d --dry-run", ("'flat'", "threshold")),
    Case("models train --strategy far.yaml --symbols LATE --timeframes 1d --dry-run", ("LATE", "too few bars")),
    Case("models pack TRAINING --to good.csv", ("good.csv is there already", "--to")),
    Case("models pack LOAD --to load.ktrdr.tar", ("LOAD",)),
    Case("models unpack absent.ktrdr.tar", ("absent.ktrdr.tar", "ktrdr models pack")),
    Case("models unpack good.csv", ("bundle",)),
    Case("models verify good.csv", ("no sound bundle", "ktrdr models pack")),
    Case("models plot LOAD", ("LOAD has no artifact 'metrics_plot'",)),
    Case("models plot TRAINING -o good.csv", ("good.csv is no folder",)),
    Case("models verify LOAD", ("LOAD", "ktrdr models list")),
    Case("home backup there --home absent", ("absent", "--home")),
    Case("home backup good.csv --home .", ("good.csv",)),
    Case("strategies validate absent.yaml", ("absent.yaml",)),
    Case("strategies validate s17.yaml", ("s17.yaml has 1 fault", "strategies schema")),
    Case("strategies audit good.yaml --symbols NOPE --timeframes 1d", ("NOPE",)),
    Case("indicators show rsx", ("'rsx'", "'rsi'")),
    Case("--api-url ftp://x models list", ("'ftp://x'", "--api-url")),
    Case("--api-url http://127.0.0.1:1 models list", ("http://127.0.0.1:1", "ktrdr serve"), 3),
    Case("--api-url STRANGER models list", ("not a ktrdr server", "--api-url"), 3),
    Case("--api-url STRANGER strategies schema", ("not a ktrdr server", "--api-url"), 3),
    Case("--api-url STRANGER operations results op_training_20230630_k3x9ab", ("not a ktrdr server", "--api-url"), 3),
    Case("--api-url STRANGER indicators list", ("broke off", "try again"), 3),
    Case("config show", ("KTRDR_API_PORT is 'x'", "environment"), env=(("KTRDR_API_PORT", "x"),)),
    Case("serve --port 1", ("good.csv cannot be used as KTRDR_HOME", "KTRDR_HOME"), env=(("KTRDR_HOME", "good.csv"),)),
    Case("models list --limt 3", ("--limt",)),
    Case("operations prune", ("nothing says what is to go", "--older-than")),
    Case("registry move --to sqlite+aiosqlite:///moved.sqlite", ("registry", "KTRDR_HOME")),
    Case("doctor --home absent", ("absent",)),
    Case("plugins check absent.py", ("absent.py cannot be read", "check it again")),
    Case("serve --host 0.0.0.0", ("0.0.0.0", "KTRDR_API_TOKEN")),
]


def _bars(days: Iterable[date], price: float = 0.0) -> str:
    """Daily bars; of one price where one is given."""
    prices = ((price,) * 4 if price else (20 + n % 7, 30, 10, 22 + n % 5) for n in count())
    rows = (",".join(map(str, (day, *bar, 100))) for day, bar in zip(days, prices, strict=False))
    return HEADER + "\n".join(rows) + "\n"


def _days(first: date, length: int) -> list[date]:
    return [first + timedelta(days=each) for each in range(length)]


_NEW_YEAR = date(2024, 1, 1)
STORED: dict[str, str] = {
    "HOLED 1d": _bars([*_days(_NEW_YEAR, 40), *_days(date(2024, 2, 17), 40)]),
    "HOLED 1w": _bars(_NEW_YEAR + timedelta(weeks=each) for each in range(4)),
    "FLAT 1d": _bars(_days(_NEW_YEAR, 80), price=10.0),
    "LATE 1d": _bars(_days(date(2023, 12, 1), 40)),
    "FEW 1d": _bars(_days(_NEW_YEAR, 3)),
    "SPY 1h": HEADER + "".join(f"2024-01-0{day} {hour:02}:30,10,11,9,10.5,1\n" for day in (2, 3) for hour in range(24)),
}
"""Series that are imported first, by symbol and timeframe."""

FILES: dict[str, bytes | str] = {
    "good.csv": HEADER + BAR,
    "words.txt": "words",
    "good.yaml": STRATEGY,
    "daily.yaml": STRATEGY + "timeframes: [1d]\n",
    "large.yaml": "#" * 1_000_001,
    "binary.yaml": b"\xff\xfe",
    "flat.yaml": STRATEGY + "labels: {threshold: 0.99}\n",
    "logs.yaml": STRATEGY + "indicators: [{name: ln, source: returns}]\n",
    "whole.yaml": STRATEGY + "data: {min_coverage: 1}\n",
    "gaps.yaml": STRATEGY + "calendar: 24/7\ndata: {max_gap: 3}\n",
    "return.yaml": STRATEGY + "labels: {type: forward_return}\n",
    "two.yaml": STRATEGY + "timeframes: [1d, 1w]\n",
    "diverging.yaml": STRATEGY.replace("epochs: 1", "epochs: 2, optimizer: sgd, learning_rate: 10")
    + "labels: {type: forward_return}\nfeatures: {scaling: none}\nindicators: [{name: sma, source: volume}]\n",
    "boosted.yaml": STRATEGY.replace("mlp, layers: 1, hidden_size: 4", "gradient_boosting"),
    "wide.yaml": STRATEGY.replace("layers: 1", "layers: 1, sequence_length: 39"),
    "huge.yaml": STRATEGY + "validation: {test: 0.89}\n",
    "cuda.yaml": STRATEGY.replace("epochs: 1", "epochs: 1, device: cuda"),
    "far.yaml": STRATEGY + "labels: {horizon: 200}\n",
}


def cases() -> Iterator[Case]:
    yield from OPTIONS
    for number, (_, words) in enumerate(STRATEGIES):
        yield Case(f"models train --strategy s{number}.yaml --symbols AAPL --timeframes 1d", words)
    for number, (_, words) in enumerate(SEARCHES):
        yield Case(f"search start q{number}.yaml --symbols AAPL --timeframes 1d", words)
    for number, file in enumerate(IMPORTS):
        yield Case(f"data import f{number}{file.suffix} {file.series}", file.words, FAILED)


def files() -> Iterator[tuple[str, bytes]]:
    """Name and content of every file that the cases name."""
    for name, content in FILES.items():
        yield name, _bytes(content)
    for series, content in STORED.items():
        yield f"{series}.csv", _bytes(content)
    for number, (yaml, _) in enumerate(STRATEGIES):
        yield f"s{number}.yaml", _bytes(yaml)
    for number, (yaml, _) in enumerate(SEARCHES):
        yield f"q{number}.yaml", _bytes(yaml)
    for number, file in enumerate(IMPORTS):
        yield f"f{number}{file.suffix}", _bytes(file.content)


def _bytes(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode()
