import type { ComponentChildren, JSX } from 'preact';
import { Link } from 'wouter-preact';
import '../../styles/components/button.css';
import { Icon, type IconName } from '../icon.tsx';

interface Look {
  /** `main` is what the page is for, at most one on it. */
  kind?: 'main' | 'plain' | 'quiet' | 'danger';
  small?: boolean;
  icon?: IconName;
}

export type ButtonProps = Look & {
  children: ComponentChildren;
  onClick?: () => unknown;
  /** Under way: it takes no further click, and says so. */
  busy?: boolean;
  disabled?: boolean;
  type?: 'button' | 'submit';
  title?: string;
  'aria-expanded'?: boolean;
  'aria-pressed'?: boolean;
};

/** It stays in the order of the keyboard while it takes no click, so that focus is not lost. */
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

/** A button that is its icon; `label` says to all others what it does. */
export function IconButton({
  label,
  icon,
  kind = 'quiet',
  ...rest
}: Omit<ButtonProps, 'children'> & { label: string; icon: IconName }) {
  return (
    <span class="icon-button">
      <Button kind={kind} title={label} {...rest} {...{ 'data-icon': true }}>
        <Icon name={icon} />
        <span class="visually-hidden">{label}</span>
      </Button>
    </span>
  );
}

/** Goes to another page, and looks like a button. */
export function LinkButton({
  kind = 'plain',
  small,
  icon,
  href,
  children,
}: Look & { href: string; children: ComponentChildren }) {
  return (
    <Link href={href} class="button" data-kind={kind} data-small={small}>
      {icon && <Icon name={icon} />}
      {children}
    </Link>
  );
}
