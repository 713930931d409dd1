import { useMutation } from '@tanstack/preact-query';
import { useRef, useState } from 'preact/hooks';
import { Cut } from '../../../components/cut.tsx';
import { Button } from '../../../components/forms/button.tsx';
import { TextArea } from '../../../components/forms/field.tsx';
import { Problem } from '../../../components/problem.tsx';
import { Waiting } from '../../../components/waiting.tsx';
import { graft } from '../../../data/graft.ts';
import { Classes } from './classes.tsx';
import { cosines } from './texts.ts';

/** Maximum number of texts: the table has a column for each. */
const most = 24;

interface TextsPanelProps {
  mode: 'embeddings' | 'classes';
  models: readonly string[];
}

/** Sends texts, one a line, to one or two models, and shows how close their vectors are, or their classes. */
export function TextsPanel({ mode, models }: TextsPanelProps) {
  const [text, setText] = useState('');
  const [asked, setAsked] = useState<readonly string[] | null>(null);
  const texts = text.split('\n').flatMap((line) => line.trim() || []);
  const fault = faultIn(texts, models, mode);
  const send = (event: Event) => {
    event.preventDefault();
    if (fault === null) setAsked(texts);
  };
  return (
    <>
      <form class="playground-composer" onSubmit={send}>
        <TextArea
          label="Texts, one per line"
          placeholder={
            mode === 'embeddings' ? 'My rear brake squeals.\nThe brakes are noisy.' : 'My rear brake squeals.'
          }
          rows={4}
          value={text}
          error={text.trim() === '' ? null : fault}
          onValue={setText}
        />
        <Button kind="main" type="submit" disabled={fault !== null}>
          {mode === 'embeddings' ? 'Compare' : 'Classify'}
        </Button>
      </form>
      {asked && (
        <div class="playground-answers">
          {models.map((model, side) => (
            <Result key={`${mode} ${model}`} name={'AB'[side]!} mode={mode} model={model} texts={asked} />
          ))}
        </div>
      )}
    </>
  );
}

function faultIn(
  texts: readonly string[],
  models: readonly string[],
  mode: TextsPanelProps['mode'],
): string | null {
  if (models.length === 0) return 'Choose a model first.';
  if (texts.length > most) return `${most} texts at most.`;
  return mode === 'embeddings' && texts.length < 2
    ? 'Write at least two texts, one per line.'
    : texts.length === 0
      ? 'Write a text.'
      : null;
}

interface ResultProps {
  name: string;
  mode: TextsPanelProps['mode'];
  model: string;
  texts: readonly string[];
}

function Result({ name, mode, model, texts }: ResultProps) {
  const requested = useRef<readonly string[] | null>(null);
  const ask = useMutation({
    mutationFn: async () => {
      const params = { model, input: [...texts] };
      return mode === 'embeddings'
        ? { vectors: (await graft.embeddings.create(params)).data.map(({ embedding }) => embedding), texts }
        : { classes: await graft.classifications.create(params), texts };
    },
  });
  if (requested.current !== texts) {
    requested.current = texts;
    // After this drawing.
    queueMicrotask(() => ask.mutate());
  }
  const { data } = ask;
  return (
    <article class="playground-side card" aria-label={`Answer of ${name}`}>
      <header>
        <strong>{name}</strong> <span class="soft small">{model}</span>
      </header>
      {ask.error ? (
        <Problem error={ask.error} onRetry={() => ask.mutate()} />
      ) : data?.texts !== texts ? (
        <Waiting />
      ) : 'vectors' in data ? (
        <Similarities texts={texts} vectors={data.vectors!} />
      ) : (
        <Classes texts={texts} result={data.classes!} />
      )}
    </article>
  );
}

/** A table of the cosines of all pairs of texts; the closer, the stronger the colour. */
function Similarities({
  texts,
  vectors,
}: {
  texts: readonly string[];
  vectors: readonly (readonly number[])[];
}) {
  const rows = cosines(vectors);
  return (
    <div class="similarities">
      <table>
        <caption class="visually-hidden">Cosine similarity of each pair of texts</caption>
        <thead>
          <tr>
            <th scope="col">Text</th>
            {texts.map((text, i) => (
              <th key={i} scope="col" title={text}>
                {i + 1}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              <th scope="row">
                {i + 1} <Cut text={texts[i]!} />
              </th>
              {row.map((value, j) => (
                <td key={j} style={{ '--share': `${Math.round(Math.max(0, value) * 70)}%` }}>
                  {value.toFixed(2)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
