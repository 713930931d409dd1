import { readFile, writeFile } from 'node:fs/promises';

const begin = (name: string) => `<!-- made by a script: ${name} -->`;
const end = '<!-- end -->';

/** The text between the markers of section `name`. Throws when the file has no such section. */
export async function readSection(file: string, name: string): Promise<string> {
  const { inside } = split(await readFile(file, 'utf8'), file, name);
  return inside;
}

/** Puts `text` between the markers of section `name`. */
export async function replaceSection(file: string, name: string, text: string): Promise<void> {
  const { before, after } = split(await readFile(file, 'utf8'), file, name);
  await writeFile(file, `${before}\n${text}${after}`);
}

function split(whole: string, file: string, name: string) {
  const from = whole.indexOf(begin(name));
  const to = whole.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`${file} has no section "${name}" (${begin(name)} … ${end})`);
  const start = from + begin(name).length;
  return {
    before: whole.slice(0, start),
    inside: whole.slice(start, to).replace(/^\n/, ''),
    after: whole.slice(to),
  };
}
