import { readFile, writeFile } from 'node:fs/promises';

/**
 * Turns lines of terminal output into an SVG that looks like a terminal:
 * `node --import tsx scripts/demo/picture.ts OUTPUT.txt PICTURE.svg`. Made docs/images/demo.svg from a run of the demo.
 */
const [input, output] = process.argv.slice(2);
if (!input || !output) {
  console.error('usage: picture.ts OUTPUT.txt PICTURE.svg');
  process.exit(2);
}
const lines = (await readFile(input, 'utf8')).trimEnd().split('\n');
const [cell, line, margin] = [8.4, 18, 16];
const width = Math.ceil(Math.max(...lines.map((text) => [...text].length)) * cell + 2 * margin);
const height = lines.length * line + 2 * margin;
const xmlText = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const colour = (text: string) => {
  if (text.includes('✓')) return '#7ee787';
  if (text.includes('✗')) return '#ffa198';
  return /^\S/.test(text) ? '#ffffff' : '#c9d1d9';
};
const rows = lines.map(
  (text, i) =>
    `<text x="${margin}" y="${margin + (i + 0.75) * line}" fill="${colour(text)}" textLength="${[...text].length * cell}" xml:space="preserve">${xmlText(text)}</text>`,
);
await writeFile(
  output,
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Output of npm run demo">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14">
${rows.join('\n')}
</g>
</svg>
`,
);
