import { Cut } from '../cut.tsx';

export const Swatch = ({ colour }: { colour: number }) => (
  <span class="swatch" style={{ background: `var(--series-${(colour % 8) + 1})` }} />
);

/** The names of a chart's series, each with a value if there is one. */
export const Legend = ({
  items,
}: {
  items: readonly { name: string; colour: number; value?: string | undefined }[];
}) => (
  <ul class="legend small">
    {items.map(({ name, colour, value }) => (
      <li key={name} class="inline">
        <Swatch colour={colour} />
        <Cut text={name} />
        {value !== undefined && <span class="soft">{value}</span>}
      </li>
    ))}
  </ul>
);
