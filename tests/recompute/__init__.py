"""The figures of a training's results, computed again from its bars and predictions by pandas, scipy and loops.

Nothing here uses the package; formulas are those of docs/evaluation.md. It knows labels of a fixed horizon, a holdout
and an expanding walk forward, and the features RSI and log return.
"""
