import type { Made } from './check.ts';

/** The report, in markdown, to paste: what it was made on, every check, what failures said, and a closing line. */
export function reportOf(machine: Record<string, string>, made: Made[]): string {
  const header = '| check | result | seconds | card memory | figures |';
  const failures = made.filter((one) => one.result === 'failed');
  return [
    "# Graft's checks of a device",
    '',
    ...Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`),
    '',
    header,
    header.replaceAll(/[^|]+/g, ' --- '),
    ...made.map((one) => `| ${cellsOf(one).map(escapeCell).join(' | ')} |`),
    ...failures.flatMap(({ name, output }) => ['', `What ${name} wrote last:`, '', '```', ...output, '```']),
    '',
    closingLine(made),
  ].join('\n');
}

function cellsOf(one: Made): string[] {
  const memory = one.cardMib === null ? '' : `${(one.cardMib / 1024).toFixed(2)} GiB`;
  const said =
    one.result === 'passed'
      ? Object.entries(one.figures)
          .map(([name, value]) => `${name}: ${value}`)
          .join(', ')
      : one.reason;
  return [one.name, one.result, one.seconds.toFixed(1), memory, said];
}

const escapeCell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');

function closingLine(made: Made[]): string {
  const count = (result: Made['result']) => made.filter((one) => one.result === result).length;
  const reasons = new Set(made.flatMap((one) => (one.result === 'not possible' ? [one.reason] : [])));
  const why = reasons.size > 0 ? ` (${[...reasons].join('; ')})` : '';
  return `${count('passed')} checks passed, ${count('failed')} failed, ${count('not possible')} not possible here${why}`;
}
