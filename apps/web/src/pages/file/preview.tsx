import type { ReportTokens } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { count } from '../../text/numbers.ts';

type Example = ReportTokens['preview'][number];
type Sequence = Example['sequences'][number];
type Token = Sequence['tokens'][number];

const roles: Record<Sequence['role'], string> = {
  text: 'Text',
  input: 'Input',
  target: 'Target',
  prompt: 'Prompt',
  chosen: 'Chosen',
  rejected: 'Rejected',
};

/** Names of the parts of a chat that tokens belong to, in the order of the legend. */
export const roleNames: Record<NonNullable<Token['role']>, string> = {
  system: 'system',
  developer: 'developer',
  user: 'user',
  assistant: 'assistant',
  reasoning: 'reasoning',
  tool: 'tool result',
  template: 'chat template',
};

/** An example, token by token. Consecutive trained-on tokens share one mark, so that a wrong mask is easy to see. */
export const Preview = ({
  example,
  name,
  labelled,
}: {
  example: Example;
  name: string;
  /** Kind of the label, such as `class`. */
  labelled: string;
}) => (
  <article class="preview tight" aria-label={name}>
    <h4 class="small">
      {name}
      {example.label !== null && (
        <>
          {' '}
          · {labelled} <strong>{example.label}</strong>
        </>
      )}
      {example.weight !== 1 && <> · weight {example.weight}</>}
    </h4>
    <Sequences sequences={example.sequences} name={name} />
    {example.dropped_reasoning.length > 0 && (
      <p class="small soft">
        The chat template drops the reasoning of {messagesText(example.dropped_reasoning)}.
      </p>
    )}
  </article>
);

/** The sequences one below the other; the completions of a pair side by side below their prompt. */
function Sequences({ sequences, name }: { sequences: Example['sequences']; name: string }) {
  const [chosen, rejected] = (['chosen', 'rejected'] as const).map((role) =>
    sequences.find((each) => each.role === role),
  );
  if (!chosen || !rejected)
    return sequences.map((sequence, i) => (
      <Shown key={i} sequence={sequence} name={name} isNamed={sequences.length > 1} />
    ));
  const idsOf = ({ tokens }: Sequence) => tokens.map(({ id }) => id);
  const [inChosen, inRejected] = differences(idsOf(chosen), idsOf(rejected));
  const shared = sequences.filter((each) => each !== chosen && each !== rejected);
  return (
    <>
      {shared.map((sequence, i) => (
        <Shown key={i} sequence={sequence} name={name} isNamed />
      ))}
      <div class="preview-pair">
        <Shown sequence={chosen} name={name} isNamed differing={inChosen} />
        <Shown sequence={rejected} name={name} isNamed differing={inRejected} />
      </div>
    </>
  );
}

const Shown = ({
  sequence: { role, tokens, left_out },
  name,
  isNamed,
  differing,
}: {
  sequence: Sequence;
  name: string;
  isNamed: boolean;
  /** One value per token: true where the token is in this completion of a pair only. */
  differing?: readonly boolean[];
}) => (
  <div>
    {isNamed && <p class="small soft">{roles[role]}</p>}
    <section
      class="preview-tokens"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: scrollable areas must be focusable
      tabIndex={0}
      aria-label={`Tokens of ${name}, ${role}`}
    >
      {groupRuns(tokens, differing).map(({ tokens, ...run }, i) => (
        <Run key={i} {...run}>
          <Tokens tokens={tokens} />
        </Run>
      ))}
      {left_out > 0 && <span class="small soft"> … and {count(left_out)} more tokens</span>}
    </section>
  </div>
);

const MAX_NAMED = 10;

/** Such as "messages[1] and messages[3]". */
function messagesText(numbers: readonly number[]): string {
  const names = numbers.slice(0, MAX_NAMED).map((number) => `messages[${number}]`);
  if (numbers.length > MAX_NAMED) return `${names.join(', ')}, …`;
  return [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' and ');
}

interface RunKind extends Omit<Token, 'id' | 'text'> {
  /** True where the other completion of the pair lacks it. */
  differs: boolean;
}

/** Consecutive tokens of one kind. Screen readers hear the role and the weight, which are colours and a tooltip for others. */
const Run = ({ learnt, role, weight, differs, children }: RunKind & { children: ComponentChildren }) => {
  const hasWeight = learnt && weight !== 1;
  const kind = [
    ...(role ? [roleNames[role]] : []),
    ...(learnt ? ['trained on'] : []),
    ...(differs ? ['differs'] : []),
    ...(hasWeight ? [`weight ${weight}`] : []),
  ].join(', ');
  const content = (
    <>
      {kind && <span class="visually-hidden">[{kind}: </span>}
      {children}
      {hasWeight && (
        <sup class="token-weight" aria-hidden="true">
          ×{weight}
        </sup>
      )}
      {kind && <span class="visually-hidden">]</span>}
    </>
  );
  const data = { ...(role && { 'data-role': role }), ...(differs && { 'data-differs': true }) };
  return learnt ? (
    <mark class="token-trained" title={kind} {...data}>
      {content}
    </mark>
  ) : (
    <span title={kind || undefined} {...data}>
      {content}
    </span>
  );
};

const Tokens = ({ tokens }: { tokens: readonly Token[] }) =>
  groupCharacters(tokens).map(({ ids, text }, i) => (
    <span key={i} class="token" title={ids.join(' ')}>
      {showWhitespace(text)}
    </span>
  ));

/** Joins tokens without text, which are the first bytes of a character, with the token that completes it. */
function groupCharacters(tokens: readonly Token[]): { ids: number[]; text: string }[] {
  const characters: { ids: number[]; text: string }[] = [];
  for (const { id, text } of tokens) {
    const last = characters.at(-1);
    if (last?.text !== '') characters.push({ ids: [id], text });
    else {
      last.ids.push(id);
      last.text = text;
    }
  }
  return characters;
}

/** Replaces invisible characters with symbols; line breaks are kept. */
function showWhitespace(text: string): string {
  if (text === '') return '∅';
  return text.replaceAll('\r', '␍').replaceAll('\t', '→').replaceAll('\n', '⏎\n');
}

function groupRuns(
  tokens: readonly Token[],
  differing: readonly boolean[] = [],
): (RunKind & { tokens: Token[] })[] {
  const runs: (RunKind & { tokens: Token[] })[] = [];
  for (const [i, token] of tokens.entries()) {
    const { learnt, role, weight } = token;
    const differs = differing[i] ?? false;
    const last = runs.at(-1);
    const isSame =
      last?.learnt === learnt && last.role === role && last.weight === weight && last.differs === differs;
    if (isSame) last.tokens.push(token);
    else runs.push({ learnt, role, weight, differs, tokens: [token] });
  }
  return runs;
}

/** Most comparisons of two lists: those of the previews of a pair, which have 512 tokens each. */
const maxComparisons = 512 * 512;

/** For each element of two lists, whether it is outside their longest common subsequence. Longer lists differ from end to end. */
export function differences<T>(a: readonly T[], b: readonly T[]): [inA: boolean[], inB: boolean[]] {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const [rows, columns] = [a.length - start - end, b.length - start - end];
  const inA = a.map((_, i) => i >= start && i < a.length - end);
  const inB = b.map((_, i) => i >= start && i < b.length - end);
  if (rows * columns > maxComparisons) return [inA, inB];

  // lengths[i, j]: length of the longest common subsequence of what follows i and j.
  const width = columns + 1;
  const lengths = new Uint16Array((rows + 1) * width);
  const lengthAt = (i: number, j: number) => lengths[i * width + j]!;
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      const isSame = a[start + i] === b[start + j];
      lengths[i * width + j] = isSame
        ? lengthAt(i + 1, j + 1) + 1
        : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1));
    }
  }
  for (let i = 0, j = 0; i < rows && j < columns; ) {
    if (a[start + i] === b[start + j]) {
      inA[start + i++] = false;
      inB[start + j++] = false;
    } else if (lengthAt(i + 1, j) >= lengthAt(i, j + 1)) i++;
    else j++;
  }
  return [inA, inB];
}
