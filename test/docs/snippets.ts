/** A block of shell or Python in a page of documentation. */
export interface Snippet {
  /** The page's path from the repository's root. */
  page: string;
  /** Of its first line of code. */
  line: number;
  language: 'sh' | 'python';
  code: string;
  /** Why this block is not run: the reason in `<!-- docs:check skip: REASON -->` on the line before it. Null: it is run. */
  skip: string | null;
}

const languages: Record<string, Snippet['language']> = {
  sh: 'sh',
  bash: 'sh',
  python: 'python',
  py: 'python',
};

/** The shell and Python blocks of a page, in its order. Throws where a marker precedes no such block. */
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
 * What the readers of a page fill in themselves. `PREFIX…` is the last word beginning with PREFIX that an earlier
 * snippet printed, such as `ftjob-…`; addresses of examples are those of the running Graft.
 */
export class Placeholders {
  private readonly words: string[] = [];
  /** Texts that are replaced first, by these. */
  private readonly fixed: Record<string, string>;

  constructor(fixed: Record<string, string>) {
    this.fixed = fixed;
  }

  learn(output: string): void {
    this.words.push(...(output.match(/[A-Za-z]+[-_:][\w:-]+(?:\.[\w:-]+)*/g) ?? []));
  }

  /** Throws where nothing that was printed begins with a prefix. */
  fill(code: string): string {
    let filled = code;
    for (const [text, value] of Object.entries(this.fixed)) filled = filled.replaceAll(text, value);
    return filled.replace(/([A-Za-z]+[-_:][\w:-]*)…/g, (text, prefix: string) => this.last(text, prefix));
  }

  private last(text: string, prefix: string): string {
    // A model's name, not that of one of its checkpoints.
    const word = this.words.findLast(
      (each) => each.startsWith(prefix) && each.length > prefix.length && !each.includes(':ckpt-'),
    );
    if (word === undefined) throw new Error(`no earlier snippet printed a word for ${text}`);
    return word;
  }
}
