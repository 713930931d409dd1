/** Formats a number as 1,532,000. */
export const count = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Formats seconds as 42s, 3m 05s or 2h 07m. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  return `${Math.floor(whole / 3_600)}h ${pad(Math.floor((whole % 3_600) / 60))}m`;
}

/** Formats bytes as 1.4 MB, in powers of 1000, as for disks and networks. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let amount = value;
  let unit = 0;
  while (amount >= 999.5 && unit < units.length - 1) {
    amount /= 1_000;
    unit++;
  }
  return `${unit === 0 || amount >= 99.5 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

/** Formats a Unix time in this machine's time zone: 2026-08-14 09:31. */
export function timestamp(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1_000);
  const pad = (value: number) => String(value).padStart(2, '0');
  const day = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())].join('-');
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

/** Formats a loss with four decimals. */
export const loss = (value: number): string => (Number.isFinite(value) ? value.toFixed(4) : String(value));

/** Formats a value; null where there is none. */
export const optional = <T>(value: T | null | undefined, format: (value: T) => string): string | null =>
  value === null || value === undefined ? null : format(value);
