// The curves of a training's folds, each of which is an operation of its own and may outlive the whole.

/** @import { Operation } from "../types.d.ts" */

import * as api from "../api.js";
import { CurveOverlay, lineStyle } from "../curves.js";
import { hasEnded } from "../record.js";

const MAX_FOLDS = 200;

export class FoldCurves {
  #id;
  #parent;
  #signal;
  #overlay;
  /** @type {Map<number, Operation>} by their number */
  #folds = new Map();
  /** @type {Set<string>} */
  #completed = new Set();

  /**
   * @param {Operation} operation
   * @param {AbortSignal} signal
   */
  constructor({ operation_id: id, parent_id: parent }, signal) {
    this.#id = id;
    this.#parent = parent;
    this.#signal = signal;
    this.#overlay = new CurveOverlay(signal, "each fold");
  }

  get panels() {
    return this.#overlay.panels;
  }

  get isLive() {
    return [...this.#folds.values()].some((fold) => !hasEnded(fold));
  }

  async pull() {
    if (this.#folds.size && !this.isLive) return;
    if (this.#parent) await this.#takeOver(this.#parent);
    for (const [number, fold] of await this.#foldsOf(this.#id)) this.#folds.set(number, fold);
    await this.#draw();
  }

  finish() {}

  /**
   * A training that goes on from others has the folds that those had completed.
   * @param {string} parent
   */
  async #takeOver(parent) {
    for (let id = /** @type {string | null | undefined} */ (parent); id; ) {
      for (const [number, fold] of await this.#foldsOf(id)) {
        if (!this.#folds.has(number)) this.#folds.set(number, fold);
      }
      id = (await api.operation(id, this.#signal)).parent_id;
    }
    this.#parent = null;
  }

  /**
   * @param {string} id
   * @returns {Promise<[number, Operation][]>}
   */
  async #foldsOf(id) {
    const { operations } = await api.operations({ parent: id, limit: MAX_FOLDS }, this.#signal);
    return operations.flatMap((operation) => {
      const { fold } = operation.metadata;
      return fold ? [[fold, operation]] : [];
    });
  }

  /** What has ended is drawn once more and then left alone. */
  async #draw() {
    const open = [...this.#folds]
      .filter(([, fold]) => !this.#completed.has(fold.operation_id))
      .sort(([one], [other]) => one - other);
    for (const [number, { operation_id: id }] of open) {
      this.#overlay.add({ id, name: `Fold ${number}`, ...lineStyle(number - 1) });
    }
    const folds = open.map(([, fold]) => fold);
    await this.#overlay.refresh(folds.map((fold) => fold.operation_id));
    for (const fold of folds) if (hasEnded(fold)) this.#completed.add(fold.operation_id);
  }
}
