import type { ComponentChildren } from 'preact';
import '../../styles/components/facts.css';
import { LongText } from '../long-text.tsx';

export interface Fact {
  name: string;
  value: ComponentChildren;
  /** Below the value, in small. */
  note?: ComponentChildren;
}

/** Names and values, in as many columns as there is room for. */
export const Facts = ({ facts }: { facts: readonly Fact[] }) => (
  <dl class="facts">
    {facts.map(({ name, value, note }) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{whole(value)}</dd>
        {note && <dd class="small soft">{whole(note)}</dd>}
      </div>
    ))}
  </dl>
);

const whole = (text: ComponentChildren) => (typeof text === 'string' ? <LongText text={text} /> : text);
