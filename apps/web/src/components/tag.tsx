import { Link } from 'wouter-preact';
import '../styles/components/tag.css';

/** An adapter's tag, with a link to the version it points to. */
export const Tag = ({ name, version, href }: { name: string; version?: number; href?: string }) => {
  const text = (
    <>
      <span class="cut">{name}</span>
      {version !== undefined && <span class="tag-version">v{version}</span>}
    </>
  );
  return href ? (
    <Link class="tag" href={href} title={name}>
      {text}
    </Link>
  ) : (
    <span class="tag" title={name}>
      {text}
    </span>
  );
};
