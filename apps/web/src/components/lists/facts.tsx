import type { ComponentChildren } from 'preact';
import { LongText } from '../long-text.tsx';

export interface Fact {
  name: string;
  value: ComponentChildren;
  /** Small text below the value. */
  note?: ComponentChildren;
}

/** Names and values: in columns that fill the width, or in rows. */
export const Facts = ({ facts, inRows = false }: { facts: readonly Fact[]; inRows?: boolean }) => (
  <dl class={inRows ? 'properties' : 'facts'}>
    {facts.map(({ name, value, note }) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{withDisclosure(value)}</dd>
        {note && <dd class="small soft">{withDisclosure(note)}</dd>}
      </div>
    ))}
  </dl>
);

const withDisclosure = (text: ComponentChildren) =>
  typeof text === 'string' ? <LongText text={text} /> : text;
