// A list whose rows are updated in place, so that focus, selection and what a row has loaded survive a refresh.

/**
 * @template Item
 * @typedef {object} Row
 * @property {HTMLElement} element
 * @property {(item: Item) => void} update
 */

/**
 * @template Item
 * @template {Row<Item>} ItemRow
 */
export class KeyedList {
  #element;
  #key;
  #create;
  /** @type {Map<string, ItemRow>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} element to which the rows are added, and nothing else is
   * @param {(item: Item) => string} key
   * @param {(item: Item) => ItemRow} create
   */
  constructor(element, key, create) {
    this.#element = element;
    this.#key = key;
    this.#create = create;
  }

  /** @param {string} key */
  row(key) {
    return this.#rows.get(key);
  }

  /**
   * Shows these items in this order, each in the row that it had before.
   * @param {Item[]} items
   */
  update(items) {
    this.#removeAllBut(new Set(items.map(this.#key)));
    for (const [index, item] of items.entries()) {
      const row = this.#rowOf(item);
      row.update(item);
      const present = this.#element.children[index] ?? null;
      if (present !== row.element) this.#element.insertBefore(row.element, present);
    }
  }

  /** @param {Set<string>} keys */
  #removeAllBut(keys) {
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
  }

  /** @param {Item} item */
  #rowOf(item) {
    const key = this.#key(item);
    const row = this.#rows.get(key) ?? this.#create(item);
    this.#rows.set(key, row);
    return row;
  }
}
