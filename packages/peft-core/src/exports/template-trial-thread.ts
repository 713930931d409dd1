/** Thread that renders what exports render with a chat template: first it loads the tokenizer, then it renders. */
import { parentPort } from 'node:worker_threads';
import { turnEnds } from '../chat/turn-ends.ts';
import { loadTokenizer, type Tokenizer, type TokenizerFiles } from '../text/index.ts';
import { answerCalls } from '../threads/thread.ts';
import { templateRenderer, turnTexts } from './turn-texts.ts';

let tokenizer: Tokenizer | null = null;

answerCalls<TokenizerFiles | null, boolean>(parentPort!, (files) => {
  if (files) tokenizer = loadTokenizer(files);
  else {
    turnEnds(tokenizer!);
    turnTexts(templateRenderer(tokenizer!));
  }
  return true;
});
