import type { ComponentChildren } from 'preact';
import '../styles/facts.css';

export interface Fact {
  name: string;
  value: ComponentChildren;
  /** Below the value, in small. */
  more?: ComponentChildren;
}

/** Names and values, in as many columns as there is room for. */
export const Facts = ({ facts }: { facts: readonly Fact[] }) => (
  <dl class="facts">
    {facts.map(({ name, value, more }) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value}</dd>
        {more && <dd class="small soft">{more}</dd>}
      </div>
    ))}
  </dl>
);
