import { GraftError } from '../errors.ts';

/** One configuration of a data set, as its card has it: https://huggingface.co/docs/hub/datasets-manual-configuration */
export interface CardConfig {
  name: string;
  isDefault: boolean;
  /** Patterns of paths by split; null: the card leaves the files to their names. */
  splits: ReadonlyMap<string, readonly string[]> | null;
  /** The folder of its files; null: all. */
  folder: string | null;
}

/** Values of the part of YAML that cards use, in lines below each other. */
type Yaml = string | Yaml[] | { [key: string]: Yaml };
interface Line {
  indent: number;
  text: string;
}

const MAX_DEPTH = 10;

/** The configurations in the front matter of a data set's card; none if it has none, or if it cannot be read. */
export function cardConfigs(card: string): CardConfig[] {
  const front = /^\ufeff?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(card)?.[1];
  const lines = (front ?? '').split(/\r?\n/).flatMap((text): Line[] => {
    const indent = /^ */.exec(text)![0].length;
    const rest = text.trim();
    return rest === '' || rest.startsWith('#') ? [] : [{ indent, text: rest }];
  });
  const from = lines.findIndex(({ indent, text }) => indent === 0 && text === 'configs:');
  if (from === -1) return [];
  const after = lines.slice(from + 1);
  const end = after.findIndex(({ indent, text }) => indent === 0 && !text.startsWith('-'));
  const configs = blockOf(end === -1 ? after : after.slice(0, end), 0);
  return Array.isArray(configs) ? configs.flatMap((each) => configOf(each) ?? []) : [];
}

function configOf(value: Yaml): CardConfig | null {
  if (typeof value === 'string' || Array.isArray(value) || typeof value.config_name !== 'string') return null;
  const { config_name: name, data_files: files, data_dir: folder, default: isDefault } = value;
  return {
    name,
    isDefault: isDefault === 'true' || name === 'default',
    splits: files === undefined ? null : splitsOf(files),
    folder: typeof folder === 'string' ? folder : null,
  };
}

/** Files without a split are those of `train`. */
function splitsOf(files: Yaml): ReadonlyMap<string, readonly string[]> {
  const splits = new Map<string, string[]>();
  for (const each of [files].flat()) {
    const { split = 'train', path = [] } =
      typeof each === 'string' ? { path: each } : Array.isArray(each) ? {} : each;
    const patterns = [path].flat().filter((pattern) => typeof pattern === 'string');
    if (typeof split === 'string') splits.set(split, [...(splits.get(split) ?? []), ...patterns]);
  }
  return splits;
}

/** A list or an object of lines that begin at the same indent; text that is neither is a value. */
function blockOf(lines: readonly Line[], depth: number): Yaml {
  const [first] = lines;
  if (!first || depth > MAX_DEPTH) return '';
  const starts = lines.flatMap(({ indent }, i) => (indent === first.indent ? [i] : []));
  const isItem = ({ text }: Line) => text === '-' || text.startsWith('- ');
  const parts = (at: readonly number[]) => at.map((from, n) => lines.slice(from, at[n + 1]));
  if (isItem(first))
    return parts(starts).map(([item, ...rest]) => {
      const text = item!.text.slice(1).trimStart();
      // The text after the dash is indented as the lines below it.
      const indent = item!.indent + item!.text.length - text.length;
      return blockOf(text === '' ? rest : [{ indent, text }, ...rest], depth + 1);
    });
  // A list may begin at the indent of its key.
  const keys = starts.filter((i) => !isItem(lines[i]!));
  const fields = parts(keys).map(([line, ...rest]) => {
    const [, key, value] = /^([\w-]+):(?:\s+(.*))?$/.exec(line!.text) ?? [];
    if (key === undefined) return null;
    return [key, value ? scalarOf(value) : blockOf(rest, depth + 1)] as const;
  });
  if (fields.includes(null)) return lines.length === 1 ? scalarOf(first.text) : '';
  return Object.fromEntries(fields as [string, Yaml][]);
}

/** A value in one line: text, in quotes or not, or a list of texts. */
function scalarOf(text: string): Yaml {
  const isList = text.startsWith('[') && text.endsWith(']');
  return isList ? text.slice(1, -1).split(',').map(textOf) : textOf(text);
}

function textOf(written: string): string {
  const text = written.trim();
  const quoted = /^"([^"\\]*)"|^'([^']*)'/.exec(text);
  if (quoted) return quoted[1] ?? quoted[2]!;
  const comment = text.indexOf(' #');
  return comment === -1 ? text : text.slice(0, comment).trimEnd();
}

/** Steps of comparing all paths of a data set with the patterns of a split: 0.3 s. Those of 20,000 usual paths need a tenth. */
const MAX_STEPS = 20_000_000;

/** Compares paths with patterns, in which `*` and `?` are characters but `/`, and `**` any folders. Throws `data_set_not_found`. */
export class PathPatterns {
  #steps = 0;

  matches(path: string, pattern: string): boolean {
    const parts = pattern.replace(/^\.\//, '').split('/');
    return this.#areLike(path.split('/'), parts, '**', (name, part) =>
      this.#areLike([...name], [...part], '*', (a, b) => b === '?' || a === b),
    );
  }

  /** Compares lists in which `many` stands for any number of items. */
  #areLike<T>(
    items: readonly T[],
    pattern: readonly T[],
    many: T,
    isLike: (item: T, of: T) => boolean,
  ): boolean {
    let [i, p, star, from] = [0, 0, -1, 0];
    while (i < items.length) {
      if (++this.#steps > MAX_STEPS)
        throw new GraftError(
          'data_set_not_found',
          "the patterns of the data set's card are too many or too long to compare with its files; choose one with &file=",
        );
      if (p < pattern.length && pattern[p] === many) {
        star = p++;
        from = i;
      } else if (p < pattern.length && isLike(items[i]!, pattern[p]!)) {
        i++;
        p++;
      } else if (star >= 0) {
        p = star + 1;
        i = ++from;
      } else return false;
    }
    return pattern.slice(p).every((each) => each === many);
  }
}
