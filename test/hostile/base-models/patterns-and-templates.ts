import { between, type Draw, json, MiB, pick } from './draw.ts';

/** Regular expressions for which a backtracking engine takes exponential or high polynomial time. */
export function hostilePattern(draw: Draw): string {
  const a = pick(draw, ['a', '\\w', '\\p{L}', '.', '[a-z]', '\\s', '[^\\r\\n]', '\\S']);
  const end = pick(draw, ['b', '!', '$', '\\d', '(?=z)', '\\z']);
  const times = between(draw, 20, 60);
  return pick(draw, [
    `(${a}+)+${end}`,
    `(?:${a}*)*${end}`,
    `(${a}|${a})*${end}`,
    `(${a}|${a}${a})+${end}`,
    `${a}*${a}*${a}*${a}*${end}`,
    `(?:${a}?){${times}}${a}{${times}}`,
    `(${a})\\1*${end}`,
    `(?=(${a}+))\\1${end}`,
    `(?>${a}+)+${end}`,
    `${a}+${a}+${end}|${a}+`,
    `((${a}{1,${times}}){1,${times}})${end}`,
    `(?<x>${a}*)\\k<x>${end}`,
    `${'('.repeat(times)}${a}${')*'.repeat(times)}`,
    `${a}${`|${a}`.repeat(3000)}`,
  ]);
}

export function hostileTemplate(draw: Draw): { source: string; says: RegExp } {
  const many = between(draw, 10 ** 6, 10 ** 9);
  const list = json(Array.from({ length: 40 }, (_, i) => i));
  const depth = between(draw, 10, 20);
  const tooDear = /chat template (asks for a range|takes more than|makes a text)/;
  const noJinja = /chat template does not parse/;
  return pick(draw, [
    { source: `{% for i in range(${many}) %}{% endfor %}`, says: tooDear },
    { source: `{% for i in range(-${many}, ${many}, 1) %}x{% endfor %}`, says: tooDear },
    { source: `${`{% for i in range(99999) %}`.repeat(3)}x${'{% endfor %}'.repeat(3)}`, says: tooDear },
    { source: `${`{% for i in ${list} %}`.repeat(depth)}x${'{% endfor %}'.repeat(depth)}`, says: tooDear },
    {
      source: `{% set n = namespace(x='${'x'.repeat(64)}') %}{% for i in ${list} %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}`,
      says: tooDear,
    },
    {
      source: `{% set n = namespace(x=[1, 2]) %}{% for i in ${list} %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x | length }}`,
      says: tooDear,
    },
    { source: `{{ ${'('.repeat(100_000)}1${')'.repeat(100_000)} }}`, says: noJinja },
    { source: `{{ ${'not '.repeat(100_000)}true }}`, says: noJinja },
    { source: '{% if true %}'.repeat(20_000) + '{% endif %}'.repeat(20_000), says: noJinja },
    { source: `{% for message in ${'['.repeat(between(draw, 1, 50))} %}`, says: noJinja },
    { source: 'x'.repeat(MiB + 1), says: /1048576 are read/ },
  ]);
}
