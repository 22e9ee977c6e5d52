"""ktrdr without a server: bars, features and a training as objects. Run: python examples/from_python.py"""

from pathlib import Path
from tempfile import TemporaryDirectory

import ktrdr

STRATEGY = """
name: From Python
model: {type: gradient_boosting, leaves: 7}
training: {epochs: 30}
validation: {test: 0.2}
indicators:
  - {name: rsi, period: 14}
  - {name: roc, period: 5}
"""

with TemporaryDirectory() as folder:
    home = Path(folder)
    ktrdr.load("AAPL", "1d", provider="sample", home=home)  # leave `home` out to use the folder of `ktrdr serve`

    bars = ktrdr.bars("AAPL", "1d", start="2020-01-01", home=home)
    print(bars.tail(3))
    print(bars.to_pandas().set_index("timestamp")["close"].pct_change().describe())

    table = ktrdr.build_features(STRATEGY, "AAPL", ["1d"], start="2020-01-01", home=home)
    print(table.drop_nulls().head(3))

    training = ktrdr.train(STRATEGY, "AAPL", ["1d"], start="2020-01-01", output=home / "model", home=home)
    print(training.metrics.select("epoch", "train_loss", "val_loss").tail(3))
    print(training.predictions.tail(3))
    print(training.summary.split("Validation rows")[0])
