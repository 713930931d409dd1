/** Times and durations in the reader's locale. All values are in seconds, as in the API. */
import { none } from './numbers.ts';

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const clockWithSeconds = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dayAndYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const dayOfUtc = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'short' });

const steps = [
  ['second', 1, 60],
  ['minute', 60, 60],
  ['hour', 3600, 24],
  ['day', 86_400, 7],
] as const;

export const fullTime = (unix: number): string => full.format(unix * 1000);
/** A UTC day, as in the usage ledger. */
export const dayOf = (unix: number): string => dayOfUtc.format(unix * 1000);
export const timeOfDay = (unix: number): string => clockWithSeconds.format(unix * 1000);

/** "3 min ago", "in 2 hr"; the date when it is more than a week away. */
export function fromNow(unix: number, now: number): string {
  const seconds = unix - now;
  if (Math.abs(seconds) < 5) return relative.format(0, 'second');
  for (const [unit, size, next] of steps) {
    if (Math.abs(seconds) < size * next) return relative.format(Math.trunc(seconds / size), unit);
  }
  const date = new Date(unix * 1000);
  const isThisYear = date.getFullYear() === new Date(now * 1000).getFullYear();
  return (isThisYear ? day : dayAndYear).format(date);
}

/** A date and time; without the date if it is today. */
export function clockTime(unix: number, now: number): string {
  const date = new Date(unix * 1000);
  const isToday = date.toDateString() === new Date(now * 1000).toDateString();
  return isToday ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}

const formatUnit = (value: number, unit: string) =>
  new Intl.NumberFormat(undefined, {
    style: 'unit',
    unit,
    unitDisplay: 'short',
    maximumFractionDigits: value < 10 && unit === 'second' ? 1 : 0,
  }).format(value);

/** "1 hr 12 min": at most two units. */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return none;
  if (seconds < 60) return formatUnit(Math.max(0, seconds), 'second');
  // Rounded first, so that no unit becomes 60.
  const minutes = seconds < 3600 ? Math.floor(seconds / 60) : Math.round(seconds / 60);
  if (seconds < 3600) return joinUnits(formatUnit(minutes, 'minute'), Math.floor(seconds % 60), 'second');
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return joinUnits(formatUnit(hours, 'hour'), minutes % 60, 'minute');
  return joinUnits(formatUnit(Math.floor(hours / 24), 'day'), hours % 24, 'hour');
}

const joinUnits = (first: string, rest: number, unit: string) =>
  rest === 0 ? first : `${first} ${formatUnit(rest, unit)}`;
