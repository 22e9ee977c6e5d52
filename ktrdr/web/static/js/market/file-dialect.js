// How a file with bars is written, where the file alone does not tell.

import { field, h } from "../dom.js";
import { fileFormats } from "../meta.js";

/** @import { Query } from "../http.js" */

const ORDERS = ["DMY", "MDY", "YMD", "excel"];

/** A part of a form, folded at first, as `element`. What is left as it is, the server detects. */
export class FileDialect {
  #format = choice("format", { "": "detected", ...named(fileFormats()) });
  #timezone = h("input", { id: "file-timezone", list: "zones", placeholder: "the file's, or UTC" });
  #dateFormat = h("input", { id: "file-date-format", list: "date-orders", placeholder: "detected" });
  #decimal = choice("decimal", { "": "detected", ".": "point", ",": "comma" });
  #skip = h("input", { id: "file-skip", type: "number", min: 0, step: 1, placeholder: "0" });
  #stamp = choice("stamp", { open: "opening", close: "close" });
  #badRows = choice("bad-rows", { refuse: "refuse the file", drop: "leave them out" });
  #noHeader = h("input", { id: "file-no-header", type: "checkbox" });
  element = h(
    "details",
    { class: "file-dialect" },
    h("summary", {}, "How the file is written"),
    h("p", { class: "muted" }, "It is detected; where that is not certain, the file is refused with what would help."),
    h(
      "div",
      { class: "fields" },
      field("Format", this.#format),
      field("Time zone", this.#timezone),
      field("Date format", this.#dateFormat),
      field("Decimal mark", this.#decimal),
      field("Lines to skip", this.#skip),
      field("Times are of the", this.#stamp),
      field("Bad rows", this.#badRows),
      h("label", { class: "toggle" }, this.#noHeader, "No header line"),
    ),
    offers("zones", Intl.supportedValuesOf("timeZone")),
    offers("date-orders", ORDERS),
  );

  /** @returns {Query} */
  query() {
    return {
      format: this.#format.value,
      timezone: this.#timezone.value.trim(),
      date_format: this.#dateFormat.value.trim(),
      decimal: this.#decimal.value,
      no_header: this.#noHeader.checked ? "true" : null,
      skip: this.#skip.value,
      stamp: this.#stamp.value,
      bad_rows: this.#badRows.value,
    };
  }
}

/**
 * @param {string} name
 * @param {Record<string, string>} titles by value
 */
const choice = (name, titles) =>
  h(
    "select",
    { id: `file-${name}` },
    Object.entries(titles).map(([value, title]) => h("option", { value }, title)),
  );

/** @param {string[]} values */
const named = (values) => Object.fromEntries(values.map((value) => [value, value]));

/**
 * @param {string} id
 * @param {string[]} values
 */
const offers = (id, values) =>
  h(
    "datalist",
    { id },
    values.map((value) => h("option", { value })),
  );
