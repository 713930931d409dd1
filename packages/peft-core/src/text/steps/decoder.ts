import { regexOf } from './library-steps.ts';
import { prependScheme, type Step } from './step.ts';

type DecodeChain = (tokens: readonly string[]) => string[];

/**
 * The decoder of a SentencePiece-style tokenizer.json: joins the texts of tokens. Null for one with another step. Bytes that are not
 * valid UTF-8 become U+FFFD once for each faulty sequence; the Rust crate replaces every byte of such a run, also of its valid
 * characters, which a stream has returned already.
 */
export function decoderOf(step: Step | null | undefined): ((tokens: readonly string[]) => string) | null {
  const chain = step ? chainOf(step) : null;
  return chain && ((tokens) => chain(tokens).join(''));
}

function chainOf(step: Step): DecodeChain | null {
  const own = step.type === undefined ? undefined : DECODERS[step.type];
  return own ? own(step) : null;
}

const DECODERS: Readonly<Record<string, (step: Step) => DecodeChain | null>> = {
  Sequence({ decoders = [] }) {
    const steps = decoders.map(chainOf);
    if (steps.includes(null)) return null;
    return (tokens) =>
      (steps as DecodeChain[]).reduce<string[]>((texts, decode) => decode(texts), [...tokens]);
  },
  Replace({ pattern = {}, content = '' }) {
    const regex = regexOf(pattern);
    return (tokens) => tokens.map((token) => token.replace(regex, () => content));
  },
  ByteFallback: () => joinBytes,
  Fuse: () => (tokens) => [tokens.join('')],
  Strip({ content = ' ', start = 0, stop = 0 }) {
    return (tokens) => tokens.map((token) => stripped(token, content, { start, stop }));
  },
  Metaspace(step) {
    const { replacement = '▁' } = step;
    const stripsFirst = prependScheme(step) !== 'never';
    return (tokens) =>
      tokens.map((token, i) => token.replaceAll(replacement, i === 0 && stripsFirst ? '' : ' '));
  },
};

const BYTE = /^<0x([0-9A-Fa-f]{2})>$/;

/** Replaces each run of tokens of bytes, such as `<0xE2>`, by its text. */
function joinBytes(tokens: readonly string[]): string[] {
  const texts: string[] = [];
  let bytes: number[] = [];
  const end = () => {
    if (bytes.length > 0) texts.push(Buffer.from(bytes).toString());
    bytes = [];
  };
  for (const token of tokens) {
    const byte = token.length === 6 ? BYTE.exec(token)?.[1] : undefined;
    if (byte !== undefined) {
      bytes.push(Number.parseInt(byte, 16));
      continue;
    }
    end();
    texts.push(token);
  }
  end();
  return texts;
}

/** A token without up to `start` characters `content` at its start, and up to `stop` at its end. */
function stripped(token: string, content: string, { start, stop }: { start: number; stop: number }): string {
  let from = 0;
  let to = token.length;
  for (let i = 0; i < start && from < to && token.startsWith(content, from); i++) from += content.length;
  for (let i = 0; i < stop && to > from && token.endsWith(content.repeat(i + 1)); i++) to -= content.length;
  return token.slice(from, to);
}
