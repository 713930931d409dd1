export const Brand = () => (
  <a class="brand" href="/">
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path d="M12 22V13" />
      <path d="M12 14C12 8.5 8.5 6 4 6c0 4.5 2.5 8 8 8Z" />
      <path class="brand-shoot" d="M12 11.5C12 7 15 3.5 20 3c0 5-3 8.5-8 8.5Z" />
    </svg>
    Graft
  </a>
);
