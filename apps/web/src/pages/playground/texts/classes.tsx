import type { ClassificationList } from '@graft/client';
import { Legend } from '../../../components/chart/legend.tsx';
import { Meter } from '../../../components/lists/meter.tsx';

type Item = ClassificationList['data'][number];
type Entity = NonNullable<Item['entities']>[number];

/** Number of classes shown of a text. */
const most = 8;

const percent = (p: number) => `${(p * 100).toFixed(1)} %`;

/** The probabilities of each text's classes as bars; of a classifier of words the text with its entities coloured by class. */
export function Classes({ texts, result }: { texts: readonly string[]; result: ClassificationList }) {
  const isOfWords = result.data[0]?.words !== undefined;
  const names = [...new Set(result.classes.map((name) => name.replace(/^[BI]-/, '')))].filter(
    (name) => name !== 'O',
  );
  const colourOf = (label: string) => names.indexOf(label);
  return (
    <div class="stack">
      {isOfWords && <Legend items={names.map((name, colour) => ({ name, colour }))} />}
      {result.data.map((item, i) =>
        item.entities ? (
          <p key={i} class="entities">
            <Marked text={texts[i]!} entities={item.entities} colourOf={colourOf} />
          </p>
        ) : (
          <section key={i} class="class-bars">
            <p>{texts[i]}</p>
            <Probabilities item={item} classes={result.classes} />
          </section>
        ),
      )}
    </div>
  );
}

function Probabilities({ item, classes }: { item: Item; classes: readonly string[] }) {
  const sorted = (item.probs ?? []).map((p, i) => ({ p, name: classes[i]! })).sort((a, b) => b.p - a.p);
  return (
    <ul>
      {sorted.slice(0, most).map(({ p, name }) => (
        <li key={name} data-chosen={item.labels?.includes(name) ?? name === item.label}>
          <span>{name}</span>
          <Meter value={p} label={name} />
          <span class="number">{percent(p)}</span>
        </li>
      ))}
      {sorted.length > most && <li class="soft small">{sorted.length - most} more classes</li>}
    </ul>
  );
}

function Marked({
  text,
  entities,
  colourOf,
}: {
  text: string;
  entities: readonly Entity[];
  colourOf: (label: string) => number;
}) {
  // Offsets count code points.
  const points = [...text];
  const part = (from: number, to?: number) => points.slice(from, to).join('');
  let at = 0;
  const parts = entities.map(({ label, start, end, prob }) => {
    const before = part(at, start!);
    at = end!;
    return (
      <>
        {before}
        <mark
          key={start}
          title={`${label}, ${percent(prob)}`}
          style={{ '--colour': `var(--series-${(colourOf(label) % 8) + 1})` }}
        >
          {part(start!, end!)}
          <small>{label}</small>
        </mark>
      </>
    );
  });
  return (
    <>
      {parts}
      {part(at)}
    </>
  );
}
