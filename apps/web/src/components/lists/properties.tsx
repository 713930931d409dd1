import type { ComponentChildren } from 'preact';

/** Two columns: property names and values. */
export const Properties = ({
  items,
}: {
  items: readonly (readonly [name: string, value: ComponentChildren])[];
}) => (
  <dl class="properties">
    {items.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);
