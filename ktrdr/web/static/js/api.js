// The public API (docs/api.md), one function a route.

/**
 * @import {
 *   Annotate, BacktestStart, ChartPage, Comparison, Curves, DataLoad, Indicator, JsonSchema, LedgerAccountDetail, LedgerList, LogLines, Meta, MetricColumn, MetricsPage, ModelCard,
 *   Operation, OperationList, OperationStarted, Pruned, Quality, Results, RunTable, Series, StrategyVerdict, System, TrainingStart, TrialMetrics
 * } from "./types.d.ts"
 */
/** @import { Query } from "./http.js" */

import { get, getBlob, getText, patch, post, remove, start } from "./http.js";

const MAX_TRIALS = 20_000;

// -- operations ------------------------------------------------------------------------------------------------------

/**
 * @param {{ status?: string, type?: string, parent?: string, limit?: number, page_token?: string }} query
 * @param {AbortSignal} signal
 * @returns {Promise<OperationList>}
 */
export const operations = (query, signal) => get("/operations", query, signal);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {number} [wait] seconds in which it may end before the server answers
 * @returns {Promise<Operation>}
 */
export const operation = (id, signal, wait) => get(`/operations/${id}`, { wait }, signal);

/**
 * @param {string} id
 * @param {number} cursor
 * @param {number} limit
 * @param {AbortSignal} signal
 * @returns {Promise<MetricsPage>}
 */
export const metrics = (id, cursor, limit, signal) => get(`/operations/${id}/metrics`, { cursor, limit }, signal);

/**
 * Of a search, one row for each training that has ended.
 * @param {string} id
 * @param {number} cursor
 * @param {AbortSignal} signal
 * @returns {Promise<MetricsPage<TrialMetrics>>}
 */
export const trialMetrics = (id, cursor, signal) =>
  get(`/operations/${id}/metrics`, { cursor, limit: MAX_TRIALS }, signal);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Results>}
 */
export const results = (id, signal) => get(`/operations/${id}/results`, {}, signal);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 */
export const strategyText = (id, signal) => getText(`/operations/${id}/strategy`, signal);

/**
 * @param {string} id
 * @param {number | undefined} cursor undefined for the newest lines
 * @param {AbortSignal} signal
 * @returns {Promise<LogLines>}
 */
export const log = (id, cursor, signal) => get(`/operations/${id}/log`, { cursor }, signal);

/**
 * @param {string} id
 * @param {string} name
 */
export const artifact = (id, name) => getBlob(`/operations/${id}/artifacts/${name}`);

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<ModelCard>}
 */
export const modelCard = (id, signal) => get(`/operations/${id}/artifacts/model_card`, {}, signal);

/**
 * @param {string[]} ids of trainings
 * @param {AbortSignal} signal
 * @returns {Promise<Comparison>}
 */
export const comparison = (ids, signal) => get("/models/compare", { id: ids }, signal);

/**
 * @param {string} id
 * @returns {Promise<Operation>}
 */
export const cancel = (id) => post(`/operations/${id}/cancel`);

/**
 * @param {string} id
 * @returns {Promise<OperationStarted>}
 */
export const resume = (id) => start(`/operations/${id}/resume`);

/**
 * @param {string} id of a training
 * @returns {Promise<OperationStarted>}
 */
export const unseal = (id) => start(`/models/${id}/unseal`, {});

/**
 * @param {string} id of a training
 * @param {BacktestStart} request
 * @returns {Promise<OperationStarted>}
 */
export const startBacktest = (id, request) => start(`/models/${id}/backtest`, request);

/**
 * @param {string} id of a training
 * @returns {Promise<OperationStarted>}
 */
export const startExplanation = (id) => start(`/models/${id}/explain`, {});

/**
 * @param {string} id of a training
 * @returns {Promise<OperationStarted>}
 */
export const startAblation = (id) => start(`/models/${id}/explain`, { drop_one: true });

/**
 * @param {string} id
 * @param {{ isTrial: boolean }} options whether only to say what would go
 * @returns {Promise<Pruned>}
 */
export const removeOperation = (id, { isTrial }) => remove(`/operations/${id}`, { dry_run: String(isTrial) });

/**
 * @param {TrainingStart} request
 * @returns {Promise<OperationStarted>}
 */
export const startTraining = (request) => start("/training/start", request);

/**
 * @param {TrainingStart} request
 * @returns {Promise<OperationStarted>}
 */
export const startPreflight = (request) => start("/training/preflight", request);

// -- runs ------------------------------------------------------------------------------------------------------------

/**
 * @param {Query} query
 * @param {AbortSignal} signal
 * @returns {Promise<RunTable>}
 */
export const runs = (query, signal) => get("/runs", query, signal);

/** @param {Query} query */
export const runsFile = (query) => getBlob("/runs", { ...query, format: "csv" });

/** @param {Annotate} request */
export const annotateRuns = (request) => patch("/runs", request);

// -- the ledger ------------------------------------------------------------------------------------------------------

/**
 * @param {number} limit
 * @param {AbortSignal} signal
 * @returns {Promise<LedgerList>}
 */
export const ledger = (limit, signal) => get("/ledger", { limit }, signal);

/**
 * @param {string} id of a look, or of an operation, which stands for its newest look
 * @param {AbortSignal} signal
 * @returns {Promise<LedgerAccountDetail>}
 */
export const ledgerAccount = (id, signal) => get(`/ledger/${encodeURIComponent(id)}`, {}, signal);

// -- charts ----------------------------------------------------------------------------------------------------------

/**
 * @param {{ operation: string[], column?: MetricColumn, points: number }} query
 * @param {AbortSignal} signal
 * @returns {Promise<Curves>}
 */
export const curves = (query, signal) => get("/charts/curves", query, signal);

/**
 * @param {string} symbol
 * @param {string} timeframe
 * @param {{ before?: string, limit: number, training?: string }} query
 * @param {AbortSignal} signal
 * @returns {Promise<ChartPage>}
 */
export const chart = (symbol, timeframe, query, signal) =>
  get(`/charts/${seriesPath(symbol, timeframe)}`, query, signal);

// -- bars ------------------------------------------------------------------------------------------------------------

/**
 * @param {AbortSignal} signal
 * @returns {Promise<{ series: Series[] }>}
 */
export const data = (signal) => get("/data", {}, signal);

/**
 * @param {string} symbol
 * @param {string} timeframe
 * @param {AbortSignal} signal
 * @returns {Promise<Quality>}
 */
export const quality = (symbol, timeframe, signal) => get(`/data/${seriesPath(symbol, timeframe)}/quality`, {}, signal);

/**
 * @param {AbortSignal} signal
 * @returns {Promise<{ providers: { name: string }[] }>}
 */
export const providers = (signal) => get("/data/providers", {}, signal);

/**
 * @param {DataLoad} request
 * @returns {Promise<OperationStarted>}
 */
export const loadBars = (request) => start("/data/load", request);

/**
 * @param {string} symbol
 * @param {string} timeframe
 * @param {File} file
 * @param {Query} options
 * @returns {Promise<OperationStarted>}
 */
export const importBars = (symbol, timeframe, file, options) =>
  start(`/data/${seriesPath(symbol, timeframe)}/import`, file, { ...options, filename: file.name });

/**
 * @param {string} symbol
 * @param {string} timeframe
 */
const seriesPath = (symbol, timeframe) => `${encodeURIComponent(symbol)}/${timeframe}`;

// -- strategies ------------------------------------------------------------------------------------------------------

/**
 * @param {AbortSignal} signal
 * @returns {Promise<JsonSchema>}
 */
export const strategySchema = (signal) => get("/strategies/schema", {}, signal);

/**
 * @param {string} strategy as YAML
 * @param {AbortSignal} signal
 * @returns {Promise<StrategyVerdict>}
 */
export const validateStrategy = (strategy, signal) => post("/strategies/validate", { strategy }, signal);

/**
 * @param {AbortSignal} signal
 * @returns {Promise<{ indicators: Indicator[] }>}
 */
export const indicators = (signal) => get("/indicators", {}, signal);

// -- the server ------------------------------------------------------------------------------------------------------

/**
 * @param {AbortSignal} signal
 * @returns {Promise<System>}
 */
export const system = (signal) => get("/system", {}, signal);

/**
 * @param {AbortSignal} signal
 * @returns {Promise<Meta>}
 */
export const meta = (signal) => get("/meta", {}, signal);
