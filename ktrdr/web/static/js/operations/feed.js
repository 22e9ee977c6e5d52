// The operations that fit a filter: the first page is pulled again and again, older ones when they are wanted.

/** @import { Operation, OperationList } from "../types.d.ts" */

import * as api from "../api.js";
import { hasEnded } from "../record.js";

const FIRST_PAGE = 50;
const NEXT_PAGE = 100;
const LARGEST_PAGE = 1000;
/** While something runs, one pull in so many is of the whole list, the others of what has not ended. */
const PULLS_PER_LIST = 3;
/** Operations that are asked for one by one. */
const MAX_SINGLE = 20;

export class OperationFeed {
  #filter;
  #signal;
  /** @type {Map<string, Operation>} */
  #operations = new Map();
  /** @type {string | null} */
  #nextPage = null;
  #pulls = 0;
  #isLoading = false;
  /** Of all that fit the filter, loaded or not. */
  total = 0;

  /**
   * @param {{ status: string, type: string }} filter empty texts fit all
   * @param {AbortSignal} signal
   */
  constructor(filter, signal) {
    this.#filter = filter;
    this.#signal = signal;
  }

  /** What is loaded, newest first. */
  get operations() {
    return [...this.#operations.values()].sort(newestFirst);
  }

  get isBusy() {
    return [...this.#operations.values()].some((operation) => operation.status === "RUNNING");
  }

  get hasMore() {
    return this.#nextPage !== null;
  }

  /** One pull, of the list or only of what runs; resolves to whether it was of the list. */
  async refresh() {
    const isOfList = !this.isBusy || this.#pulls % PULLS_PER_LIST === 0;
    this.#pulls += 1;
    await (isOfList ? this.#refreshList() : this.#refreshOpen(new Set()));
    return isOfList;
  }

  /** Makes the next pull one of the whole list. */
  expire() {
    this.#pulls = 0;
  }

  async loadMore(limit = NEXT_PAGE) {
    if (!this.#nextPage || this.#isLoading) return;
    this.#isLoading = true;
    try {
      const page = await this.#page({ limit, page_token: this.#nextPage });
      this.#nextPage = page.next_page_token ?? null;
      this.#add(page);
    } finally {
      this.#isLoading = false;
    }
  }

  /** @param {() => boolean} isWanted asked before each page */
  async loadAll(isWanted) {
    while (this.hasMore && isWanted() && !this.#signal.aborted) await this.loadMore(LARGEST_PAGE);
  }

  async #refreshList() {
    const page = await this.#page({ limit: FIRST_PAGE });
    const oldest = page.next_page_token ? (page.operations.at(-1)?.created_at ?? "") : "";
    // What the page covers and does not have was removed.
    for (const [id, { created_at: created }] of this.#operations) if (created >= oldest) this.#operations.delete(id);
    if (!this.#operations.size) this.#nextPage = page.next_page_token ?? null;
    this.#add(page);
    await this.#refreshOpen(new Set(page.operations.map((operation) => operation.operation_id)));
  }

  /**
   * What has ended never changes.
   * @param {Set<string>} fresh those that were just pulled
   */
  async #refreshOpen(fresh) {
    const open = this.operations.filter((operation) => !hasEnded(operation) && !fresh.has(operation.operation_id));
    for (const { operation_id: id } of open.slice(0, MAX_SINGLE)) {
      const operation = await api.operation(id, this.#signal);
      if (this.#filter.status && operation.status !== this.#filter.status) this.#operations.delete(id);
      else this.#operations.set(id, operation);
    }
  }

  /** @param {{ limit: number, page_token?: string }} query */
  #page(query) {
    return api.operations({ ...this.#filter, ...query }, this.#signal);
  }

  /** @param {OperationList} page */
  #add({ operations, total }) {
    this.total = total;
    for (const operation of operations) this.#operations.set(operation.operation_id, operation);
  }
}

/**
 * @param {Operation} one
 * @param {Operation} other
 */
const newestFirst = (one, other) =>
  other.created_at.localeCompare(one.created_at) || other.operation_id.localeCompare(one.operation_id);

/**
 * Whether every word of `text` is in its id, its type, its strategy, its series or its model.
 * @param {Operation} operation
 * @param {string} text
 */
export function matches({ operation_id: id, operation_type: type, metadata }, text) {
  const { strategy, symbols, timeframes, model_type: model } = metadata;
  const about = [id, type, strategy, symbols, timeframes, model].flat().join(" ").toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => about.includes(word));
}
