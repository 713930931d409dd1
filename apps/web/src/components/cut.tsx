import type { ComponentChildren } from 'preact';
import { Link } from 'wouter-preact';

interface CutProps {
  text: string | number | null | undefined;
  title?: string | number | null | undefined;
  href?: string;
  isCode?: boolean;
  /** Further classes, such as `small soft`. */
  class?: string;
}

/** Text on one line, cut with an ellipsis. Its tooltip is `title`, by default the whole text. */
export function Cut({ text, title = text, href, isCode = false, class: extra = '' }: CutProps) {
  const attributes = {
    class: `cut ${extra}`,
    title: title == null ? undefined : String(title),
    children: text,
  };
  if (href !== undefined) return <Link href={href} {...attributes} />;
  return isCode ? <code {...attributes} /> : <span {...attributes} />;
}

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
