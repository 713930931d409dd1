/** The invalid lines of a JSON Lines file, the user's changes to them, and the corrected copy. */
import { bytes } from '../../text/numbers.ts';
import { type Change, correctedCopy, isBlank } from './corrected-copy.ts';
import {
  countLines,
  findLines,
  firstLines,
  type LineBytes,
  type LineRange,
  linesOfOriginal,
  mergedRanges,
  rangesWithout,
} from './line-bytes.ts';

export const maxEdited = 100;
/** Maximum size of a line that can be edited, in bytes. */
export const maxLineBytes = 64_000;
/** Bytes of a longer line that are shown. */
const shownBytes = 1024;

/** A fault with the lines that have it, as the API lists it. */
export interface LineFault {
  line?: number;
  message: string;
  lines?: readonly (readonly number[])[];
}

export interface CorrectableLine {
  number: number;
  /** Fault of the line; null for a corrected line in which no fault is left. */
  fault: string | null;
  place: LineBytes;
  /** The text in the file, or its beginning if it is too long to edit. */
  text: string;
  isTooLong: boolean;
  /** The text that the user has changed it to; null: unchanged. */
  edited: string | null;
  isLeftOut: boolean;
}

export interface Correction {
  original: Blob;
  /** Lines that can be edited, in the order of the file. */
  lines: readonly CorrectableLine[];
  /** Further invalid lines, which can only be left out. */
  rest: readonly LineBytes[];
  isRestLeftOut: boolean;
  /** Lines that an earlier attempt left out, and that are no longer listed. */
  removed: readonly LineBytes[];
  /** Invalid lines that the API counted and did not list. */
  unlisted: number;
}

const rangesOf = (places: readonly LineBytes[]): LineRange[] =>
  mergedRanges(places.map(({ first, last }) => [first, last]));

const faultRanges = ({ line, lines }: LineFault): (readonly number[])[] => [
  ...(line === undefined ? [] : [[line]]),
  ...(lines ?? []),
];

const leftOutPlaces = ({ lines, rest, isRestLeftOut, removed }: Correction): LineBytes[] => [
  ...lines.filter(({ isLeftOut }) => isLeftOut).map(({ place }) => place),
  ...(isRestLeftOut ? rest : []),
  ...removed,
];

export const leftOutCount = (correction: Correction): number =>
  countLines(rangesOf(leftOutPlaces(correction)));

/**
 * Finds the invalid lines of a file. `faults` are those of the original or, with `previous`, of the copy that the previous correction
 * produced; the result then keeps the user's changes, and the line numbers of the original. `total`: number of invalid lines, of which some
 * may not be listed.
 */
export async function openCorrection(
  original: Blob,
  faults: readonly LineFault[],
  total: number,
  previous: Correction | null,
  signal?: AbortSignal,
): Promise<Correction> {
  const dropped = previous ? rangesOf(leftOutPlaces(previous)) : [];
  const inOriginal = (ranges: Iterable<readonly number[]>) => linesOfOriginal(mergedRanges(ranges), dropped);
  const invalid = inOriginal(faults.flatMap(faultRanges));
  const edited = new Map(
    previous?.lines
      .filter((each) => each.edited !== null && !each.isLeftOut)
      .map((each) => [each.number, each]),
  );
  const editedRanges = mergedRanges([...edited.keys()].map((line) => [line]));
  // Edited lines come first, so that no change is lost; then faults; then lines that were left out, if there is space.
  const faulty = rangesWithout(invalid, editedRanges);
  const listed = firstLines(faulty, maxEdited - edited.size);
  const before = previous?.lines.filter(({ isLeftOut }) => isLeftOut) ?? [];
  const keptOut = before.slice(0, maxEdited - edited.size - listed.length);
  const shown = mergedRanges(
    [...edited.keys(), ...listed, ...keptOut.map((each) => each.number)].map((line) => [line]),
  );
  const rest = rangesWithout(faulty, shown);
  const wanted = [
    ...firstLines(shown, maxEdited).map((line): LineRange => [line, line]),
    ...rest,
    ...rangesWithout(dropped, shown),
  ].sort(([a], [b]) => a - b);
  const places = await findLines(original, wanted, signal);

  const messages = new Map<number, string>();
  for (const fault of faults) {
    const ranges = inOriginal(faultRanges(fault));
    const [[first] = [0]] = ranges;
    for (const line of firstLines(ranges, 2 * maxEdited))
      if (!messages.has(line))
        messages.set(line, line === first ? fault.message : `Same fault as line ${first}: ${fault.message}`);
  }
  const wasOut = new Map(keptOut.map((each) => [each.number, each]));
  const isShown = new Set(firstLines(shown, maxEdited));
  const isIn = (ranges: readonly LineRange[], { first }: LineBytes) =>
    ranges.some(([from, to]) => from <= first && first <= to);
  const lines: CorrectableLine[] = [];
  for (const place of places) {
    const number = place.first;
    if (!isShown.has(number)) continue;
    const known = edited.get(number) ?? wasOut.get(number);
    const size = place.textEnd - place.start;
    const isTooLong = size > maxLineBytes;
    const end = isTooLong ? place.start + shownBytes : place.textEnd;
    const text = known?.text ?? (await original.slice(place.start, end).text());
    lines.push({
      number,
      place,
      text,
      isTooLong,
      fault: wasOut.has(number) ? known!.fault : (messages.get(number) ?? null),
      edited: known?.edited ?? null,
      isLeftOut: wasOut.has(number),
    });
  }
  const others = places.filter(({ first }) => !isShown.has(first));
  return {
    original,
    lines,
    rest: others.filter((place) => !isIn(dropped, place)),
    isRestLeftOut: false,
    removed: others.filter((place) => isIn(dropped, place)),
    unlisted: Math.max(0, total - countLines(invalid)),
  };
}

/** Fault of a text as a line of JSON Lines; null if it is an object. */
export function textFault(text: string, isEdited: boolean): string | null {
  if (text.trim() === '') return 'Must be a JSON object. To remove the line, leave it out.';
  // An unchanged line is one line, although a text area shows a carriage return as a line break.
  if (isEdited && /[\n\r]/.test(text)) return 'Must be one line. Remove the line breaks.';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `Must be valid JSON. ${(error as Error).message}`;
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject) return 'Must be a JSON object, in braces.';
  const size = new Blob([text]).size;
  return size > maxLineBytes
    ? `Must have at most ${bytes(maxLineBytes)} to be edited here, got ${bytes(size)}.`
    : null;
}

/** Faults of the texts by line, found before the copy is sent. */
export function textFaults({ lines }: Correction): Map<number, string> {
  const faults = new Map<number, string>();
  for (const { number, text, edited, isTooLong, isLeftOut } of lines) {
    const fault = isTooLong || isLeftOut ? null : textFault(edited ?? text, edited !== null);
    if (fault) faults.set(number, fault);
  }
  return faults;
}

/** The corrected copy. Throws Error with what to do if nothing was changed, or nothing is left. */
export async function copyOf(correction: Correction): Promise<Blob> {
  const changes: Change[] = leftOutPlaces(correction).map(({ start, end }) => ({ start, end, text: null }));
  for (const { edited, isLeftOut, place } of correction.lines)
    if (edited !== null && !isLeftOut) changes.push({ start: place.start, end: place.textEnd, text: edited });
  if (changes.length === 0) throw new Error('Change or leave out at least one line.');
  const copy = correctedCopy(correction.original, changes);
  if (await isBlank(copy)) throw new Error('No line is left. Keep at least one, corrected if it is invalid.');
  return copy;
}
