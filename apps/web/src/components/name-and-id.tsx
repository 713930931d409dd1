import type { ComponentChildren } from 'preact';
import { Cut } from './cut.tsx';

/** A resource in a table: its name, then its id on a second line. Badges follow the name. */
export const NameAndId = ({
  name,
  id,
  children,
}: {
  name: string;
  id: string;
  children?: ComponentChildren;
}) => (
  <>
    <span class="inline">
      <Cut text={name} />
      {children}
    </span>
    <Cut isCode text={id} class="small soft" />
  </>
);
