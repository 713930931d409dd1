import type { ComponentChildren } from 'preact';
import '../../styles/components/properties.css';

/** Names and values of one thing. */
export const Properties = ({
  of,
}: {
  of: readonly (readonly [name: string, value: ComponentChildren])[];
}) => (
  <dl class="properties">
    {of.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);
