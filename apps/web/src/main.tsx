import { render } from 'preact';
import './styles/fonts.css';
import './styles/tokens.css';
import './styles/base.css';
import { App } from './app.tsx';

// A tab from before an upgrade asks for code that is no longer there: the new page knows the new names.
addEventListener('vite:preloadError', () => {
  // Without a connection there is nothing to load anew, and what is on the page would be lost.
  if (navigator.onLine) location.reload();
});

render(<App />, document.getElementById('app')!);
