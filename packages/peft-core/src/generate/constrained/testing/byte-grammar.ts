import type { CompiledGrammar, GrammarMatcher } from '@mlc-ai/web-xgrammar';
import type { Random } from '../../../random.ts';
import { byteTokenizer } from '../../../testing/tiny-model.ts';
import { loadGrammarLibrary } from '../grammar-library.ts';
import { grammarVocabulary } from '../grammar-vocabulary.ts';

const library = loadGrammarLibrary();
const END = 257;
/** Tokens of several bytes, some of which are parts of characters. */
const LONGER = ['", "', '": ', '"}', '\\"', 'ab', '12', 'é', '日本', ' the', '[{', 'T0', '😀'].map((text) =>
  Buffer.from(text),
);
const PARTS = [
  [0xc3],
  [0xe6, 0x97],
  [0x98, 0x80],
  [0x61, 0xc3],
  [0x80, 0x22],
  [0xed, 0xa0],
  [0xf4, 0x90],
].map((bytes) => Buffer.from(bytes));
const bytesOf = [
  ...Array.from({ length: 256 }, (_, byte) => Buffer.from([byte])),
  null,
  null,
  null,
  null,
  ...LONGER,
  ...PARTS,
];
const { tokens } = grammarVocabulary({ tokenizerJson: byteTokenizer() }, 260, []);
const vocabulary = bytesOf.map((bytes) =>
  bytes === null ? '' : Array.from(bytes, (byte) => tokens[byte]).join(''),
);
const info = await library.TokenizerInfo.createTokenizerInfo(
  vocabulary,
  'byte_level',
  false,
  bytesOf.length,
  [],
);
const compiler = await library.GrammarCompiler.createGrammarCompiler(info, false);

/** Bytes that end strings, numbers and lists, so that most walks end. */
const CLOSING = new Set(Buffer.from('"]},:'));

/** A grammar over a vocabulary of all bytes, and of some longer tokens. */
export class ByteGrammar {
  readonly #compiled: CompiledGrammar;

  private constructor(compiled: CompiledGrammar) {
    this.#compiled = compiled;
  }

  static async compile(grammar: string): Promise<ByteGrammar> {
    return new ByteGrammar(await compiler.compileGrammar(grammar));
  }

  close(): void {
    this.#compiled.dispose();
  }

  /** Checks whether a text is complete, byte by byte. */
  async accepts(text: string | Uint8Array): Promise<boolean> {
    const matcher = await this.#matcher();
    try {
      return (
        [...Buffer.from(text as string)].every((byte) => matcher.acceptToken(byte)) &&
        matcher.acceptToken(END)
      );
    } finally {
      matcher.dispose();
    }
  }

  /** The bytes of random tokens that the masks allow, up to the end; null if they do not end within `most` tokens. Throws where none is allowed. */
  async walk(random: Random, most: number): Promise<Uint8Array | null> {
    const matcher = await this.#matcher();
    const taken: Uint8Array[] = [];
    try {
      for (let step = 0; step < most; step++) {
        const mask = await matcher.getNextTokenBitmask();
        const allowed = bytesOf.flatMap((_, token) =>
          (mask[token >> 5]! >> (token & 31)) & 1 ? [token] : [],
        );
        const closing = allowed.filter((token) => CLOSING.has(token) || token === END);
        const few = closing.length > 0 && random.integer(step < most / 2 ? 6 : 2) === 0 ? closing : allowed;
        if (few.length === 0) throw new Error(`no token may follow ${Buffer.concat(taken)}`);
        const token = few[random.integer(few.length)]!;
        if (token === END) return Buffer.concat(taken);
        matcher.acceptToken(token);
        taken.push(bytesOf[token]!);
      }
      return null;
    } finally {
      matcher.dispose();
    }
  }

  #matcher(): Promise<GrammarMatcher> {
    return library.GrammarMatcher.createGrammarMatcher(this.#compiled, [END]);
  }
}
