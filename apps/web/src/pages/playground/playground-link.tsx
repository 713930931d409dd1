import { type ButtonLinkProps, LinkButton } from '../../components/forms/button.tsx';
import { usePermission } from '../../data/session.ts';

/** A link to the playground with two models side by side, for users who may call models. */
export const PlaygroundLink = ({
  a,
  b,
  ...link
}: Omit<ButtonLinkProps, 'href' | 'icon'> & { a: string; b: string }) =>
  usePermission('completions:write') ? (
    <LinkButton {...link} icon="chat" href={`/playground?${new URLSearchParams({ a, b })}`} />
  ) : null;
