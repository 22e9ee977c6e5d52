// What a table of runs is asked for, as the address has it.

/**
 * @typedef {object} RunQuery
 * @property {string} q text that ids, names, tags or notes contain
 * @property {string[]} where conditions, all of which hold
 * @property {string} sort a column, with - before it for the greatest first; empty for the newest first
 * @property {string[]} columns by name; none for the usual ones and those that differ
 * @property {number} offset
 */

/**
 * @param {URLSearchParams} address
 * @returns {RunQuery}
 */
export const readQuery = (address) => ({
  q: address.get("q") ?? "",
  where: address.getAll("where").filter(Boolean),
  sort: address.get("sort") ?? "",
  columns: (address.get("columns") ?? "").split(",").filter(Boolean),
  offset: Math.max(0, Math.floor(Number(address.get("offset"))) || 0),
});

/**
 * As the API and the address take it: what is empty is left out.
 * @param {RunQuery} query
 */
export const parametersOf = ({ q, where, sort, columns, offset }) => ({
  q,
  where,
  sort,
  columns: columns.join(","),
  offset: offset || null,
});

/**
 * The order after a click on a column's heading: numbers begin with the greatest, and a second click turns it round.
 * @param {string} sort
 * @param {{ name: string, is_number: boolean }} column
 */
export function nextSort(sort, { name, is_number: isOfNumbers }) {
  if (sort === name) return `-${name}`;
  if (sort === `-${name}`) return name;
  return isOfNumbers ? `-${name}` : name;
}

/**
 * @param {string} sort
 * @param {string} name of a column
 */
export function direction(sort, name) {
  if (sort === name) return "ascending";
  return sort === `-${name}` ? "descending" : "none";
}
