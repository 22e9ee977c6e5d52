// Curves of several trainings over each other: validation loss and accuracy by epoch.

import { get } from "./api.js";
import { Chart } from "./charts.js";
import { panel } from "./dom.js";
import { fixed, percent } from "./format.js";

export const COLORS = ["c1", "c2", "c3", "c4", "c5", "c6"];
const POINTS = 1000;
const COLUMNS = [
  { column: "val_loss", title: "Validation loss", format: (value) => fixed(value) },
  { column: "val_accuracy", title: "Validation accuracy", format: (value) => percent(value) },
];

export class Overlay {
  /** `of` is whose curves they are, for those who cannot see them. */
  constructor(life, of) {
    this.life = life;
    this.ids = [];
    this.charts = COLUMNS.map(
      ({ title }) =>
        new Chart(life, {
          label: `${title} of ${of} by epoch`,
          isOfNumbers: true,
          height: 260,
          options: { localization: { precision: 0 } },
        }),
    );
    this.panels = COLUMNS.map(({ title }, index) => panel(title, {}, this.charts[index].box));
  }

  add({ id, name, colorName }) {
    if (this.ids.includes(id)) return;
    this.ids.push(id);
    for (const [index, chart] of this.charts.entries()) {
      chart.addLine(id, { colorName, format: COLUMNS[index].format, label: name });
    }
  }

  async refresh(ids = this.ids) {
    if (!ids.length) return;
    await Promise.all(COLUMNS.map(({ column }, index) => this._draw(this.charts[index], column, ids)));
  }

  async _draw(chart, column, ids) {
    const { curves } = await get("/charts/curves", { operation: ids, column, points: POINTS }, this.life);
    for (const [id, { steps, values }] of Object.entries(curves)) {
      chart.set(
        id,
        steps
          .map((step, index) => ({ time: step, value: values[index] }))
          .filter((point) => Number.isFinite(point.value)),
      );
    }
  }
}
