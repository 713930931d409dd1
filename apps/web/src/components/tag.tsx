import { Link } from 'wouter-preact';

interface TagProps {
  name: string;
  version?: number;
  href?: string;
}

export const Tag = ({ name, version, href }: TagProps) => {
  const children = (
    <>
      <span class="cut">{name}</span>
      {version !== undefined && <span class="tag-version">v{version}</span>}
    </>
  );
  const attributes = { class: 'tag', title: name, children };
  return href ? <Link href={href} {...attributes} /> : <span {...attributes} />;
};

const maxTags = 3;

export const Tags = ({ tags }: { tags: readonly TagProps[] }) => (
  <span class="row">
    {tags.slice(0, maxTags).map((tag) => (
      <Tag key={tag.name} {...tag} />
    ))}
    {tags.length > maxTags && <span class="small soft">and {tags.length - maxTags} more</span>}
  </span>
);
