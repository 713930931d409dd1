/** A block of shell or Python code in a documentation page. */
export interface Snippet {
  /** Path of the page from the repository's root. */
  page: string;
  /** Line number of the first line of code. */
  line: number;
  language: 'sh' | 'python';
  code: string;
  /** The reason for skipping the block, from `<!-- docs:check skip: REASON -->` on the line before it. Null: it is run. */
  skip: string | null;
}

const languages: Record<string, Snippet['language']> = {
  sh: 'sh',
  bash: 'sh',
  python: 'python',
  py: 'python',
};

/** Returns the shell and Python blocks of a page, in order. Throws for a skip marker that is not followed by such a block. */
export function readSnippets(page: string, markdown: string): Snippet[] {
  const snippets: Snippet[] = [];
  let skip: string | null = null;
  let open: { language: string; line: number; lines: string[]; indent: number } | null = null;
  for (const [i, line] of markdown.split('\n').entries()) {
    const fence = /^( *)```(\w*)/.exec(line);
    if (open && fence) {
      const language = languages[open.language];
      if (language) snippets.push({ page, line: open.line, language, code: open.lines.join('\n'), skip });
      else if (skip !== null)
        throw new Error(`${page}:${i + 1}: a marker precedes a block that is never run`);
      skip = null;
      open = null;
    } else if (open) open.lines.push(line.slice(open.indent));
    else if (fence) open = { language: fence[2]!, line: i + 2, lines: [], indent: fence[1]!.length };
    else if (line.trim() !== '') {
      if (skip !== null) throw new Error(`${page}:${i + 1}: a marker must be on the line before a block`);
      skip = /^ *<!-- docs:check skip: (.+) -->$/.exec(line)?.[1] ?? null;
    }
  }
  return snippets;
}

/**
 * Replaces the placeholders in snippets. `PREFIX…` stands for the last word with this prefix that an earlier snippet printed, such as
 * `ftjob-…`; example addresses are replaced by the address of the running Graft.
 */
export class Placeholders {
  private readonly words: string[] = [];
  /** Texts that are replaced first, and their replacements. */
  private readonly fixed: Record<string, string>;

  constructor(fixed: Record<string, string>) {
    this.fixed = fixed;
  }

  learn(output: string): void {
    this.words.push(...(output.match(/[A-Za-z]+[-_:][\w:-]+(?:\.[\w:-]+)*/g) ?? []));
  }

  /** Replaces the placeholders. Throws if no earlier output has a word with the prefix. */
  fill(code: string): string {
    let filled = code;
    for (const [text, value] of Object.entries(this.fixed)) filled = filled.replaceAll(text, value);
    return filled.replace(/([A-Za-z]+[-_:][\w:-]*)…/g, (text, prefix: string) => this.last(text, prefix));
  }

  private last(text: string, prefix: string): string {
    // A model's name, but not the name of a checkpoint.
    const word = this.words.findLast(
      (each) => each.startsWith(prefix) && each.length > prefix.length && !each.includes(':ckpt-'),
    );
    if (word === undefined) throw new Error(`no earlier snippet printed a word for ${text}`);
    return word;
  }
}
