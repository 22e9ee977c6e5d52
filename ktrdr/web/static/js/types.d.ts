// The API's JSON, named as docs/api.md and the server name it, and what the views share.

// -- operations ------------------------------------------------------------------------------------------------------

export type OperationStatus = "PENDING" | "RUNNING" | "COMPLETED" | "FAILED" | "CANCELLED";

export interface Progress {
  /** 0 to 100, continuous; exactly 100 only once the operation is COMPLETED. */
  percentage: number;
  message: string;
  current_step: number;
  items_processed: number;
  /** Whether it has been silent for too long, and for how many seconds. */
  stalled?: boolean;
  silent_s?: number;
  /** Of a training in folds, the folds that run. */
  running_parts?: RunningPart[];
}

export interface RunningPart {
  number: number;
  operation_id: string;
  percentage: number;
  message: string;
}

export interface Pruned {
  operations: PrunedOperation[];
  size_bytes: number;
}

export interface PrunedOperation {
  operation_id: string;
  /** Whether a trained model goes with it. */
  has_model: boolean;
}

export interface OperationError {
  code: string;
  detail: string;
  hint?: string;
}

export interface OperationMetadata {
  symbols?: string[];
  timeframes?: string[];
  strategy?: string;
  model_type?: string;
  provider?: string;
  start_date?: string | null;
  end_date?: string | null;
  best_val_loss?: number;
  /** The number of this fold, from 1; only where the operation is a part of a training in folds. */
  fold?: number;
  /** How many folds there are; only of the whole. */
  folds?: number;
  /** The number of this trial in its search, from 0. */
  trial?: number;
  /** How many trials there are, and what ranks them; only of a search. */
  trials?: number;
  objective?: Objective;
}

export interface Operation {
  operation_id: string;
  operation_type: string;
  status: OperationStatus;
  created_at: string;
  updated_at: string;
  started_at?: string | null;
  completed_at?: string | null;
  progress: Progress;
  metadata: OperationMetadata;
  error?: OperationError | null;
  parent_id?: string | null;
}

export interface OperationList {
  operations: Operation[];
  total: number;
  next_page_token?: string | null;
}

export interface OperationStarted {
  operation_id: string;
}

export interface EpochMetrics {
  epoch: number;
  train_loss: number | null;
  train_accuracy: number | null;
  val_loss: number | null;
  val_accuracy: number | null;
}

/** Names of what is measured every epoch. */
export type MetricColumn = Exclude<keyof EpochMetrics, "epoch">;

export interface MetricsPage<Metrics = EpochMetrics> {
  metrics: Metrics[];
  new_cursor: number;
}

export interface LogLines {
  lines: string[];
  new_cursor: number;
}

export interface Curve {
  steps: number[];
  values: (number | null)[];
}

export interface Curves {
  column: string;
  /** By operation id; those without a curve are left out. */
  curves: Record<string, Curve>;
}

// -- results ---------------------------------------------------------------------------------------------------------

/** What every operation's results have; `artifacts` are paths by name. */
export interface Results {
  version?: number;
  status: "success" | "failed" | "cancelled";
  artifacts?: Record<string, string> | null;
}

/** Of the best epoch; null where no epoch was finished. */
export interface FinalMetrics {
  best_epoch: number | null;
  best_val_loss: number | null;
  total_epochs: number;
  training_duration_seconds: number;
}

export interface Scores {
  accuracy?: number | null;
  balanced_accuracy?: number | null;
  mcc?: number | null;
  log_loss?: number | null;
  r2?: number | null;
  ic?: number | null;
  mse?: number;
}

/** How far a model is ahead of one baseline: a share of samples, or for a regression a difference of errors. */
export interface Lead {
  lead: number;
  standard_error: number;
  p_value: number;
}

export interface Significance {
  beats_baselines: boolean;
  against: Record<string, Lead>;
}

/** What the luckiest of as many tries would be ahead by, if none knew anything; `quantiles` at every twentieth. */
export interface LuckiestTry {
  upper: number;
  quantiles: number[];
}

/** A lead beside all tries at the same rows. */
export interface SelectionVerdict {
  tries: number;
  lead: number;
  p_value: number;
  level: number;
  beats_baselines: boolean;
  luckiest: LuckiestTry;
  verdict: string;
}

export interface CalibrationBin {
  confidence: number;
  accuracy: number;
  samples: number;
}

export interface Calibration {
  expected_error: number;
  error_by_chance?: number | null;
  bins: CalibrationBin[];
}

/** A regression has no class names, no confusion and no calibration. */
export interface Evaluation extends Scores {
  part?: string;
  validation_samples: number;
  from?: string;
  to?: string;
  accuracy_interval?: [number, number];
  class_names?: string[];
  significance?: Significance;
  selection?: SelectionVerdict | null;
  verdict?: string;
  confusion?: number[][];
  calibration?: Calibration | null;
  baselines?: Record<string, Scores>;
}

export interface Performance {
  total_return: number;
  sharpe: number | null;
  sharpe_standard_error?: number | null;
  max_drawdown: number;
  trades: number;
}

/** The model's positions after costs; equity is 1 at the beginning. */
export interface BacktestResult {
  bars: number;
  fee_bps: number;
  slippage_bps: number;
  rules?: string;
  model: Performance;
  buy_and_hold: Performance;
  random_entries?: { draws: number; percentile: number | null } | null;
  equity?: { timestamps: string[]; model: number[]; buy_and_hold: number[] };
  verdict?: string;
}

export interface PartReport {
  part: string;
  samples: number;
  first: string;
  last: string;
  /** Shares of the samples by class, together 1. */
  shares: Record<string, number>;
  /** Lead in accuracy, or correlation of a regression, that so many samples show with 80 % power. */
  resolution: number;
  resolution_in?: "accuracy" | "correlation";
}

export interface PreflightReport {
  parts: PartReport[];
  features: number;
  window: number;
  parameters: number;
  parameters_per_sample: number;
  peak_memory_bytes: number;
  available_memory_bytes: number;
  epoch_seconds: number | null;
  total_seconds: number | null;
  errors: string[];
  warnings: string[];
  folds?: number;
}

export interface Reproduction {
  of: string;
  identical: boolean;
  differences: string[];
  inputs: string[];
}

/** One fold; of a training that was cancelled there are only those that had ended, without scores. */
export interface FoldScores {
  fold: number;
  operation_id: string;
  from?: string;
  to?: string;
  validation_samples?: number;
  best_epoch?: number | null;
  best_val_loss?: number | null;
  best_val_accuracy?: number | null;
  accuracy?: number;
  strongest_baseline?: string;
  baseline_accuracy?: number;
  /** Squared errors, of a regression only; `lead` is in its unit then. */
  mse?: number;
  baseline_mse?: number;
  lead?: number;
  total_return?: number;
  held_return?: number;
}

export interface Spread {
  mean: number;
  std: number;
  min: number;
  max: number;
}

export interface FoldsLead {
  over?: string;
  mean: number;
  standard_error: number;
  p_value: number;
  folds_ahead: number;
  beats_baselines: boolean;
}

export interface Opening {
  number: number;
  level: number;
  opened_at: string;
  by: string;
}

/** The test part of a training; `opening` is null while it is sealed. */
export interface SealedPart {
  samples: number;
  from: string;
  to: string;
  opening?: Opening | null;
}

export interface UnsealingResults extends Results {
  model: string;
  opening: Opening;
  evaluation: Evaluation;
  money: BacktestResult;
}

/** A model on bars of somebody's choice; `folds` are the models that predicted them. */
export interface BacktestResults extends Results {
  model: string;
  symbols: string[];
  timeframe: string;
  samples: number;
  trained_samples: number;
  from: string;
  to: string;
  trades: number;
  folds: { fold: number; operation_id: string; samples: number }[];
  warnings: string[];
  evaluation: Evaluation;
  money: BacktestResult;
  stress?: Stress | null;
}

/** Returns of one group of a backtest's bars. */
export interface GroupReturn {
  group: string;
  bars: number;
  total_return: number;
  held_return: number;
}

/** Quantiles over resamples of the bars; `equity` has a row for each level, with a value for each of `bars`. */
export interface ReturnBands {
  draws: number;
  block: number;
  levels: number[];
  total_return: number[];
  loss_probability: number;
  bars?: number[];
  equity?: number[][];
}

/** What a backtest's return depends on. */
export interface Stress {
  costs: { cost_bps: number; total_return: number }[];
  break_even_bps: number | null;
  delays: { bars: number; total_return: number }[];
  bands: ReturnBands | null;
  by_year: GroupReturn[];
  by_volatility: GroupReturn[];
  by_weekday: GroupReturn[];
  by_hour: GroupReturn[];
  by_symbol: GroupReturn[];
}

/** Days are `YYYY-MM-DD`. */
export interface BacktestStart {
  symbols: string[];
  start_date: string | null;
  end_date: string | null;
  allow_overlap: boolean;
}

/** What a model loses where the features of an indicator are shuffled. */
export interface FeatureGroup {
  name: string;
  indicator: string;
  features: string[];
  importance: Lead;
  adjusted_p_value: number;
  accuracy_lost: number;
  gain?: number | null;
  splits?: number | null;
}

/** A training without one indicator, beside the model. */
export interface ComparedWithout {
  name: string;
  indicator: string;
  operation_id: string;
  val_loss: number | null;
  lead: number | null;
  reason: string;
  lost: Lead | null;
  adjusted_p_value: number | null;
  accuracy_lost: number | null;
}

export interface AblationResults extends Results {
  model: string;
  samples: number;
  from: string;
  to: string;
  measure: "log_loss" | "squared_error";
  val_loss: number | null;
  lead: number | null;
  indicators: ComparedWithout[];
  verdict: string;
}

export interface ExplanationResults extends Results {
  model: string;
  samples: number;
  from: string;
  to: string;
  measure: "log_loss" | "squared_error";
  repeats: number;
  groups: FeatureGroup[];
  verdict: string;
}

/** Of a training, or of one in folds: `folds`, `spread` and `lead` are the latter's. */
export interface TrainingResults extends Results {
  ending?: string;
  final_metrics?: FinalMetrics | null;
  evaluation?: Evaluation | null;
  sealed?: SealedPart | null;
  test_evaluation?: Evaluation | null;
  money?: BacktestResult | null;
  test_money?: BacktestResult | null;
  leak_gate?: { passed: boolean; verdict: string } | null;
  preflight?: PreflightReport | null;
  reproduction?: Reproduction | null;
  phases_seconds?: Record<string, number>;
  folds?: FoldScores[];
  spread?: { accuracy: Spread; best_val_loss: Spread; ic?: Spread };
  lead?: FoldsLead | null;
  verdict?: string;
}

// -- searches --------------------------------------------------------------------------------------------------------

/** What trials are ranked by; of a loss the least is best. */
export type Objective = "val_loss" | "lead" | "accuracy" | "ic" | "sharpe";

export type Parameters = Record<string, Json>;

export interface TrialResult {
  trial: number;
  operation_id: string;
  status: "completed" | "failed" | "cancelled";
  parameters: Parameters;
  score: number | null;
  /** The last rung that it was trained in, from 1. */
  rung?: number;
  epochs?: number;
  reason?: string;
}

export interface SearchWinner {
  trial: number;
  operation_id: string;
  score: number;
  identical: boolean;
}

export interface ParameterImportance {
  parameter: string;
  importance: number;
  standard_error: number;
}

export interface SearchResults extends Results {
  objective: Objective;
  trials: TrialResult[];
  winner: SearchWinner;
  spread?: Spread | null;
  importance?: ParameterImportance[];
  epochs_trained: number;
  verdict: string;
  warnings?: string[];
}

/** Of a search that failed or was cancelled: the trials that had ended. */
export interface UnfinishedSearchResults extends Results {
  objective: Objective;
  trials: TrialResult[];
}

/** One ended training of a search; `part` counts from 1. */
export interface TrialMetrics {
  part: number;
  trial: number;
  rung: number;
  score: number | null;
  best_score: number | null;
  epochs: number;
}

export interface PreflightResults extends Results, PreflightReport {}

export interface PredictionResults extends Results {
  symbol: string;
  timeframe: string;
  sealed_bars?: number;
  predictions?: Record<string, string | number | null>[];
}

export interface DataRange {
  rows: number;
  first: string;
  last: string;
}

/** By symbol, then by timeframe. */
export type BySeries<Value> = Record<string, Record<string, Value>>;

export interface ModelCard {
  strategy: Record<string, unknown>;
  code?: { sha256: string };
  data_ranges?: BySeries<DataRange>;
  data_sha256?: BySeries<string>;
  data_providers?: BySeries<string>;
}

// -- runs ------------------------------------------------------------------------------------------------------------

export type RunValue = null | boolean | number | string | string[];

export interface RunColumn {
  name: string;
  title: string;
  is_number: boolean;
}

/** One value for each column. */
export interface RunRow {
  operation_id: string;
  values: RunValue[];
}

export interface RunTable {
  columns: RunColumn[];
  rows: RunRow[];
  total: number;
  unread?: number;
  /** Every column that a query may name. */
  names: string[];
}

export interface Annotate {
  operation_ids: string[];
  add: string[];
  remove: string[];
  note: string | null;
}

// -- the ledger ------------------------------------------------------------------------------------------------------

export interface LookFigures {
  accuracy?: number | null;
  ic?: number | null;
  over?: string | null;
  lead?: number | null;
  p_value?: number | null;
  sharpe?: number | null;
  total_return?: number | null;
}

/** One evaluation on held-out rows; without figures where it was cancelled, failed or is under way. */
export interface Look {
  look_id: string;
  operation_id: string;
  door: "server" | "python";
  kind: string;
  part: string;
  strategy_name: string;
  samples: number;
  opened_at: string;
  figures?: LookFigures | null;
}

/** Looks at the same bars, whatever the bars were called. */
export interface LedgerAccount {
  account_id: string;
  tries: number;
  looks: number;
  without_series: number;
  bars: number;
  timeframes: string[];
  symbols: string[];
  strategies: string[];
  from: string;
  to: string;
  last_opened_at: string;
  openings?: Opening[];
}

export interface LedgerAccountDetail extends LedgerAccount {
  entries: Look[];
}

export interface LedgerList {
  accounts: LedgerAccount[];
  total: number;
}

// -- comparisons -------------------------------------------------------------------------------------------------------

export interface Comparison {
  models: string[];
  inputs: InputDifference[];
  rows: { part: string; measure: "accuracy" | "mse"; samples: number } | null;
  winner: string | null;
  verdict: string;
}

/** An input in which models differ, with a value for each. */
export interface InputDifference {
  name: string;
  values: Json[];
}

// -- bars ------------------------------------------------------------------------------------------------------------

export type QualityVerdict = "sound" | "doubtful" | "faulty";

export interface Series {
  symbol: string;
  timeframe: string;
  rows: number;
  first: string;
  last: string;
  provider: string;
  size_bytes: number;
}

export interface QualityFault {
  severity: "error" | "warning" | "note";
  message: string;
}

export interface Quality {
  verdict: QualityVerdict;
  score: number;
  calendar: { name: string };
  faults: QualityFault[];
  gaps: { first: string; last: string; bars: number }[];
}

export interface IndicatorLine {
  name: string;
  group: string;
  /** Whether it shares the scale of the prices. */
  on_price: boolean;
  values: (number | null)[];
}

export interface LabelMarks {
  class_names: string[];
  /** Indices of class names, one a bar; null where a bar has no label. */
  classes: (number | null)[];
}

/** Columns of the same length: a class name or a number for each bar that was predicted. */
export interface PredictionMarks {
  time: number[];
  part: string[];
  label: (string | number)[];
  predicted: (string | number)[];
  confidence: number[] | null;
}

/** Bars as columns of the same length; `time` in seconds since 1970. */
export interface ChartPage {
  total: number;
  first_row: number;
  time: number[];
  open: number[];
  high: number[];
  low: number[];
  close: number[];
  volume: number[];
  indicators: IndicatorLine[];
  labels: LabelMarks | null;
  predictions: PredictionMarks | null;
}

// -- strategies ------------------------------------------------------------------------------------------------------

export interface StrategyFault {
  path: string;
  message: string;
  suggestion?: string | null;
  line?: number | null;
}

export interface StrategyVerdict {
  valid: boolean;
  faults: StrategyFault[];
  strategy?: StrategyDocument | null;
}

/** A strategy as JSON: what its schema allows. */
export type StrategyDocument = Record<string, Json>;

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** As much of JSON Schema as the strategy's schema uses. */
export interface JsonSchema {
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  type?: string;
  description?: string;
  default?: Json;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  anyOf?: JsonSchema[];
  discriminator?: { mapping: Record<string, string> };
}

export interface IndicatorParameter {
  name: string;
  default: number;
  integer: boolean;
}

export interface Indicator {
  name: string;
  title: string;
  parameters: IndicatorParameter[];
}

/** What a training is to learn from. */
export interface TrainingData {
  symbols: string[];
  timeframes: string[];
  start_date: string | null;
  end_date: string | null;
}

export interface TrainingStart extends TrainingData {
  strategy: string;
  strategy_name: string;
}

export interface DataLoad {
  symbol: string;
  timeframe: string;
  provider: string;
  start_date: string | null;
  end_date: string | null;
  calendar: string;
}

// -- the server ------------------------------------------------------------------------------------------------------

export interface OperationKind {
  operation_type: string;
  title: string;
  is_resumable: boolean;
}

export interface Meta {
  states: OperationStatus[];
  terminal_states: OperationStatus[];
  timeframes: { name: string; seconds: number }[];
  kinds: OperationKind[];
  final_errors: string[];
  file_formats: string[];
}

export interface Workers {
  running: number;
  waiting: number;
  limit: number;
  warm: number;
}

export interface System {
  health: { status: "ready" | "unready"; registry: string; store: string; workers: Record<string, Workers> };
  operations: Record<OperationStatus, number>;
  disk: { home: string; total_bytes: number; free_bytes: number; parts: Record<string, number> };
  versions: Record<string, string>;
  platform: string;
  memory_total_bytes: number;
  memory_available_bytes: number;
  started_at: string;
}

// -- what the views share --------------------------------------------------------------------------------------------

/** What a view is shown with: `signal` aborts when another view takes its place. */
export interface ViewContext {
  root: HTMLElement;
  id: string | undefined;
  query: URLSearchParams;
  signal: AbortSignal;
}

/** One place on a chart: an epoch or seconds since 1970, and a value where there is one. */
export interface Point {
  time: number;
  value?: number;
}
