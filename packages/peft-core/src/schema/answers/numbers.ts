/** Numbers and integers as automata of their texts. */
import { show } from '../check-fields.ts';
import { type Automaton, automatonOf, intersection } from './automaton.ts';
import { patternAutomaton } from './regular-expression.ts';
import { type Place, placeOf, SchemaFault } from './schema-fault.ts';

export interface NumberLimit {
  value: number;
  /** True if the value itself is beyond the limit. */
  isExclusive: boolean;
}

export interface NumberLimits {
  isInteger: boolean;
  min: NumberLimit | null;
  max: NumberLimit | null;
  /** Each divides the number. */
  divisors: readonly number[];
}

/** Digits of numbers with limits: all different ones are different in double precision, too. */
const DIGITS = 15;
/** Digits of other integers. */
const MOST_DIGITS = 19;
/** Maximum divisor that is no power of ten. */
const MAX_DIVISOR = 200;

/** Returns true if numbers that this divides can be restricted to: an integer up to 200, or a power of ten. */
export const isDivisor = (value: unknown): value is number =>
  typeof value === 'number' &&
  ((Number.isInteger(value) && value > 0 && value <= MAX_DIVISOR) || powerOfTen(value) !== null);

function powerOfTen(value: number): number | null {
  const power = Math.round(Math.log10(value));
  return power >= -9 && power <= 9 && Number(`1e${power}`) === value ? power : null;
}

/** Numbers within limits have at most 15 digits, and no exponent. Throws SchemaFault. */
export function numberAutomaton({ isInteger, min, max, divisors }: NumberLimits, place: Place): Automaton {
  const powers = divisors.map(powerOfTen);
  const isFree = !min && !max && divisors.length === 0;
  const isWhole = isInteger || powers.some((power) => power === null || power >= 0);
  if (isFree)
    return patternAutomaton(
      `-?(0|[1-9]\\d{0,${MOST_DIGITS - 1}})${isWhole ? '' : '(\\.\\d{1,20})?([eE][+-]?\\d{1,2})?'}`,
      place,
    );
  const lower = min && decimalOf(min, min.value >= 0);
  const upper = max && decimalOf(max, max.value < 0);
  if (lower === 'beyond' || upper === 'beyond')
    throw new SchemaFault(
      `must have limits of numbers that are below 10^${DIGITS}${placeOf(place)}, got ${show(min?.value ?? max?.value)}`,
    );
  const places = Math.min(
    ...powers.map((power) => Math.max(0, -(power ?? 0))),
    ...[lower, upper].map((limit) => limit?.room ?? DIGITS - 1),
  );
  const fraction = isWhole || places === 0 ? '' : `(\\.\\d{1,${places}})?`;
  const parts = [`-?(0|[1-9]\\d{0,${DIGITS - 1}})${fraction}`];
  if (lower)
    parts.push(
      min!.value > 0 || (min!.value === 0 && min!.isExclusive)
        ? atLeast(lower)
        : `(${anyDigits}|-(${atMost(lower)}))`,
    );
  if (upper)
    parts.push(
      max!.value > 0 || (max!.value === 0 && !max!.isExclusive)
        ? `(${atMost(upper)}|-${anyDigits})`
        : `-(${atLeast(upper)})`,
    );
  for (const power of powers) if (power !== null && power > 0) parts.push(`-?(0|\\d*0{${power}})`);
  const automata = parts.map((pattern) => patternAutomaton(pattern, place));
  for (const [i, divisor] of divisors.entries())
    if (powers[i] === null) automata.push(multiplesOf(divisor, place));
  return automata.reduce((all, each) => intersection(all, each, place));
}

/** The absolute value of a limit in decimal digits. */
interface Decimal {
  whole: string;
  /** Without zeros at the end. */
  fraction: string;
  isExclusive: boolean;
  /** Number of digits after the point with which a number as long as this has 15. */
  room: number;
}

/**
 * The digits of a limit, at most 15. Further ones are rounded up or down, so that no number beyond the limit is allowed; "beyond" if no
 * number of 15 digits is as large.
 */
function decimalOf({ value, isExclusive }: NumberLimit, isUp: boolean): Decimal | 'beyond' {
  const [mantissa, exponent] = Math.abs(value).toExponential().split('e');
  const digits = mantissa!.replace('.', '');
  const point = Number(exponent) + 1;
  if (point > DIGITS)
    return isUp ? 'beyond' : { whole: '9'.repeat(DIGITS), fraction: '', isExclusive: false, room: 0 };
  const room = DIGITS - Math.max(point, 1);
  const scaled = point >= 0 ? digits.padEnd(point + room, '0') : '0'.repeat(-point) + digits;
  const length = Math.max(point, 0) + room;
  const isCut = /[1-9]/.test(scaled.slice(length));
  const kept = BigInt(scaled.slice(0, length) || '0') + (isCut && isUp ? 1n : 0n);
  const text = kept.toString().padStart(room + 1, '0');
  return {
    whole: text.slice(0, text.length - room),
    fraction: text.slice(text.length - room).replace(/0+$/, ''),
    isExclusive: isExclusive && !isCut,
    room,
  };
}

const anyFraction = '(\\.\\d+)?';
const anyDigits = `\\d+${anyFraction}`;

/** Texts of numbers without sign, and of others that no number has, from a limit on. */
function atLeast({ whole, fraction, isExclusive }: Decimal): string {
  const equal = isExclusive ? `${fraction}\\d*[1-9]\\d*` : `${fraction}\\d*`;
  const larger = Array.from(fraction, (digit, i) => digitsAbove(digit, fraction.slice(0, i), '\\d*'));
  const same = [...larger, equal].filter((each) => each !== '').join('|');
  const isInteger = fraction === '' && !isExclusive;
  return [
    `[1-9]\\d{${whole.length},}${anyFraction}`,
    ...Array.from(whole, (digit, i) =>
      digitsAbove(digit, whole.slice(0, i), `\\d{${whole.length - i - 1}}${anyFraction}`),
    ),
    isInteger ? whole + anyFraction : `${whole}\\.(${same})`,
  ]
    .filter((each) => each !== '')
    .join('|');
}

/** Texts of numbers without sign, and of others that no number has, up to a limit. */
function atMost({ whole, fraction, isExclusive }: Decimal): string {
  const smaller = Array.from(fraction, (digit, i) => digitsBelow(digit, fraction.slice(0, i), '\\d*'));
  const starts = Array.from(fraction, (_, i) => fraction.slice(0, i)).filter((each) => each !== '');
  const same = [...smaller, ...starts, ...(isExclusive ? [] : [`${fraction}0*`])].filter(
    (each) => each !== '',
  );
  const isBelow = fraction !== '' || !isExclusive;
  return [
    ...(whole.length > 1 ? [`(0|[1-9]\\d{0,${whole.length - 2}})${anyFraction}`] : []),
    ...Array.from(whole, (digit, i) =>
      digitsBelow(digit, whole.slice(0, i), `\\d{${whole.length - i - 1}}${anyFraction}`),
    ),
    ...(isBelow ? [whole] : []),
    ...(same.length > 0 ? [`${whole}\\.(${same.join('|')})`] : []),
    // Only if nothing is below the limit: zero, exclusive.
    '[]',
  ]
    .filter((each) => each !== '')
    .join('|');
}

const digitsAbove = (digit: string, before: string, after: string): string =>
  digit === '9' ? '' : `${before}[${Number(digit) + 1}-9]${after}`;
const digitsBelow = (digit: string, before: string, after: string): string =>
  digit === '0' ? '' : `${before}[0-${Number(digit) - 1}]${after}`;

/** Texts of the integers that a number divides: a state for each rest, and one for the sign. */
const multiplesOf = (divisor: number, place: Place): Automaton =>
  automatonOf(
    -1,
    (rest) => rest,
    (rest) => {
      const digits = Array.from({ length: 10 }, (_, digit) => ({
        from: 48 + digit,
        to: 48 + digit,
        next: (Math.max(rest, 0) * 10 + digit) % divisor,
      }));
      const sign = { from: 45, to: 45, next: divisor };
      if (rest === divisor)
        return {
          accepts: false,
          edges: digits.map(({ from, to }) => ({ from, to, next: (from - 48) % divisor })),
        };
      return { accepts: rest === 0, edges: rest === -1 ? [sign, ...digits] : digits };
    },
    place,
  );
