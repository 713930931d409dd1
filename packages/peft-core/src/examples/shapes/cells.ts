import { isRecord } from '../../schema/check-fields.ts';
import type { Line } from '../formats/fields.ts';

/** Fields that are lists. In CSV they are JSON. */
const LISTS = new Set(['messages', 'conversations', 'conversation', 'tools', 'labels', 'tokens']);
/** Fields that are text or a list of messages. */
const MESSAGES = new Set(['prompt', 'completion']);
const NUMBERS = new Set(['score', 'weight']);
/** Fields that a row may lack: an empty cell is none. */
const OPTIONAL = new Set(['negative', 'system', 'tools', 'parallel_tool_calls', 'weight']);

/** A row whose cells are all text, with the values that its fields need; or its fault, which names the column. */
export function readCells(row: Line): Line | string {
  const read: Record<string, unknown> = {};
  for (const [name, cell] of Object.entries(row)) {
    if (typeof cell !== 'string') read[name] = cell;
    else if (cell === '' && OPTIONAL.has(name)) continue;
    else if (LISTS.has(name) && /^\s*\[/.test(cell)) {
      const list = jsonIn(cell);
      if (list === undefined) return `"${name}" is not valid JSON`;
      read[name] = list;
    } else if (MESSAGES.has(name) && /^\s*\[\s*\{/.test(cell)) {
      const list = jsonIn(cell);
      const isMessages =
        Array.isArray(list) && list.every((each) => isRecord(each) && each.role !== undefined);
      read[name] = isMessages ? list : cell;
    } else if (NUMBERS.has(name) && cell.trim() !== '' && Number.isFinite(Number(cell)))
      read[name] = Number(cell);
    else read[name] = cell;
  }
  return read;
}

/** Undefined for text that is not JSON. */
function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
