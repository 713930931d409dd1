import { render } from 'preact';
import './styles/fonts.css';
import './styles/tokens.css';
import './styles/base.css';
import { App } from './app.tsx';

// A tab opened before an upgrade requests files that no longer exist; a reloaded page has the new file names.
addEventListener('vite:preloadError', () => {
  // Offline, a reload would fail and lose the page's state.
  if (navigator.onLine) location.reload();
});

render(<App />, document.getElementById('app')!);
