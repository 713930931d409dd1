import type { ComponentChildren, JSX } from 'preact';
import { Link } from 'wouter-preact';
import { Icon, type IconName } from '../icon.tsx';

interface ButtonStyle {
  /** `main`: the page's primary action, at most one. */
  kind?: 'main' | 'plain' | 'quiet' | 'danger';
  small?: boolean;
  icon?: IconName;
}

export type ButtonProps = ButtonStyle & {
  children: ComponentChildren;
  onClick?: () => unknown;
  /** In progress: clicks are ignored. */
  busy?: boolean;
  disabled?: boolean;
  type?: 'button' | 'submit';
  title?: string;
  'aria-expanded'?: boolean;
  'aria-pressed'?: boolean;
};

/** Stays focusable while disabled, so that focus is not lost. */
export function Button({
  kind = 'plain',
  small,
  icon,
  children,
  onClick,
  busy,
  disabled,
  ...rest
}: ButtonProps) {
  const off = busy === true || disabled === true;
  const onPress: JSX.MouseEventHandler<HTMLButtonElement> = (event) => {
    if (off) event.preventDefault();
    else onClick?.();
  };
  return (
    <button
      class="button"
      type="button"
      data-kind={kind}
      data-small={small}
      aria-disabled={off}
      aria-busy={busy}
      {...rest}
      onClick={onPress}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A button with only an icon. `label` is its tooltip and accessible name. */
export function IconButton({
  label,
  icon,
  kind = 'quiet',
  ...rest
}: Omit<ButtonProps, 'children'> & { label: string; icon: IconName }) {
  return (
    <span class="icon-button">
      <Button kind={kind} title={label} {...rest} data-icon>
        <Icon name={icon} />
        <span class="visually-hidden">{label}</span>
      </Button>
    </span>
  );
}

export type ButtonLinkProps = ButtonStyle & { href: string; children: ComponentChildren };

const linkAttributes = ({ kind = 'plain', small, icon, href, children }: ButtonLinkProps) => ({
  href,
  class: 'button',
  'data-kind': kind,
  'data-small': small,
  children: [icon && <Icon name={icon} />, children],
});

export const LinkButton = (props: ButtonLinkProps) => <Link {...linkAttributes(props)} />;

/** A link that looks like a button and downloads a file. `name`: the file's, if the server does not set one. */
export const DownloadLink = ({ name = true, ...link }: ButtonLinkProps & { name?: string | true }) => (
  <a {...linkAttributes(link)} download={name} />
);
