// Loss curves of the rows in sight, asked for together.

import * as api from "../api.js";
import { debounce } from "../dom.js";

const POINTS = 48;
const MAX_CURVES = 100;
const REST_MS = 150;

/** @typedef {{ element: HTMLElement, needsCurve: boolean, drawCurve: (values: (number | null)[]) => void }} CurveRow */

export class Sparklines {
  #signal;
  /** @type {WeakMap<Element, { id: string, row: CurveRow }>} */
  #rows = new WeakMap();
  /** @type {Set<Element>} */
  #visible = new Set();
  #observer;
  #refreshSoon = debounce(REST_MS, () => this.refresh().catch(() => {}));

  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.#signal = signal;
    this.#observer = new IntersectionObserver((entries) => this.#onIntersection(entries), { rootMargin: "200px" });
    signal.addEventListener("abort", () => this.#observer.disconnect());
  }

  /**
   * @param {string} id
   * @param {CurveRow} row
   */
  watch(id, row) {
    this.#rows.set(row.element, { id, row });
    this.#observer.observe(row.element);
  }

  async refresh() {
    const rows = [...this.#visible].flatMap((element) => this.#rows.get(element) ?? []);
    const missing = rows.filter(({ row }) => row.needsCurve).slice(0, MAX_CURVES);
    if (!missing.length || this.#signal.aborted) return;
    const { curves } = await api.curves({ operation: missing.map(({ id }) => id), points: POINTS }, this.#signal);
    for (const { id, row } of missing) row.drawCurve(curves[id]?.values ?? []);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onIntersection(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#visible.add(target);
      else this.#visible.delete(target);
    }
    this.#refreshSoon();
  }
}
