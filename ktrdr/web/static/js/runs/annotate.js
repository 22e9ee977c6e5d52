// Tags and a note, written to the runs that are chosen.

import { attempt } from "../actions.js";
import * as api from "../api.js";
import { filledIn } from "../dialogs.js";
import { field, h } from "../dom.js";
import { integer } from "../format.js";

/**
 * Asks what to write, and writes it; resolves to whether that was done.
 * @param {string[]} ids
 */
export async function annotate(ids) {
  const add = h("input", { id: "tags-to-add", autocomplete: "off", placeholder: "good, to-check" });
  const remove = h("input", { id: "tags-to-remove", autocomplete: "off" });
  const note = h("input", { id: "note", autocomplete: "off", maxlength: 2000 });
  const title = ids.length === 1 ? "Tags and note of one run" : `Tags and note of ${integer(ids.length)} runs`;
  const fields = [
    field("Tags to add", add),
    field("Tags to remove", remove),
    field("Note, in place of the present one", note),
  ];
  const isAgreed = await filledIn({ title, fields, action: "Write" });
  const request = { operation_ids: ids, add: tags(add.value), remove: tags(remove.value), note: note.value || null };
  if (!isAgreed || !(request.add.length || request.remove.length || request.note)) return false;
  return (await attempt(() => api.annotateRuns(request))) !== null;
}

/** @param {string} text */
const tags = (text) => text.split(/[\s,]+/).filter(Boolean);
