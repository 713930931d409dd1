import { isRecord } from '../../schema/check-fields.ts';
import { parseJson } from '../../schema/exact-json.ts';
import type { Line } from '../formats/fields.ts';

/** Fields that are lists, for which some data sets have JSON. */
const JSON_LISTS = ['messages', 'conversations', 'conversation', 'history'];
/** Fields that are lists. In CSV they are JSON. */
const LISTS = new Set([...JSON_LISTS, 'tools', 'labels', 'tokens']);
/** Fields that are text or a list of messages. */
const MESSAGES = new Set(['prompt', 'completion']);
const NUMBERS = new Set(['score', 'weight']);
/** Fields that a row may lack: an empty cell is none. */
const OPTIONAL = new Set([
  ...['negative', 'system', 'context', 'history', 'tools', 'parallel_tool_calls'],
  ...['weight', 'kto_tag'],
]);

/** A row whose cells are all text, with the values that its fields need; or its fault, which names the column. */
export function readCells(row: Line): Line | string {
  const read: Record<string, unknown> = {};
  for (const [name, cell] of Object.entries(row)) {
    if (typeof cell !== 'string') read[name] = cell;
    else if (cell === '' && OPTIONAL.has(name)) continue;
    else if (LISTS.has(name) && /^\s*\[/.test(cell)) {
      const list = jsonIn(cell, name);
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

/**
 * A row's values as all formats need them: without nulls, which are values that it lacks; lists and tools that are JSON in text as lists;
 * and the label of a completion as a truth value.
 */
export function plainValues(row: Line): Line {
  // Most rows need no other values, and are not copied.
  let read: Record<string, unknown> = row;
  const change = (name: string, value: unknown) => {
    if (read === row) read = { ...row };
    if (value === undefined) delete read[name];
    else read[name] = value;
  };
  for (const name in row) if (row[name] === null) change(name, undefined);
  for (const name of JSON_LISTS) {
    const text = read[name];
    if (typeof text === 'string' && /^\s*\[/.test(text)) change(name, jsonIn(text) ?? text);
  }
  if (typeof read.tools === 'string') change('tools', toolsIn(read.tools));
  const name = read.kto_tag === undefined ? 'label' : 'kto_tag';
  const judgement = read[name];
  if (judgement === undefined) return read;
  const isJudged = read.completion !== undefined || read.messages !== undefined || name === 'kto_tag';
  const label = isJudged ? JUDGEMENTS.get(String(judgement).trim().toLowerCase()) : undefined;
  if (label !== undefined) change(name, label);
  return read;
}

const JUDGEMENTS = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** A chat whose row judges its last message, as a prompt with a judged completion. Source: LLaMA-Factory, data/README.md (kto_tag). */
export function judgedChat(row: Line, chat: Line): Line {
  const label = row.kto_tag ?? (row.messages === undefined ? undefined : row.label);
  if (typeof label !== 'boolean' || !Array.isArray(chat.messages)) return chat;
  const { messages, ...others } = chat;
  return { ...others, prompt: messages.slice(0, -1), completion: messages.slice(-1), label };
}

/** Tools that are JSON in text; undefined for none. */
function toolsIn(text: string): unknown {
  return text.trim() === '' ? undefined : (jsonIn(text, 'tools') ?? text);
}

/** Undefined for text that is not JSON. */
function jsonIn(text: string, name = ''): unknown {
  try {
    return parseJson(text, name);
  } catch {
    return undefined;
  }
}
