import { createInterface } from 'node:readline/promises';
import type { ChatMessage, GraftClient, SamplingParams } from '@graft/client';
import { printableOn } from '../draw/printable.ts';
import { explainError } from '../errors.ts';
import type { Output } from '../output.ts';

/**
 * Runs a conversation in the terminal that starts with the messages of `opening`. Each request contains the whole conversation.
 * Ctrl-C ends an answer, Ctrl-D the conversation.
 */
export async function converse(
  client: GraftClient,
  sampling: SamplingParams,
  opening: ChatMessage[],
  output: Output,
): Promise<void> {
  const { paint } = output;
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  let messages = opening;
  let answering: AbortController | null = null;
  let closed = false;
  lines.on('close', () => {
    closed = true;
  });
  lines.on('SIGINT', () => {
    if (answering === null) lines.close();
    else answering.abort();
  });
  output.note(
    paint.dim(`${sampling.model}. /reset starts a new chat, Ctrl-C stops an answer, Ctrl-D or /exit quits.`),
  );

  while (!closed) {
    const text = await question(lines, paint.bold('> '));
    if (text === null || text === '/exit') break;
    if (text === '') continue;
    if (text === '/reset') {
      messages = opening;
      output.note(paint.dim('Started a new chat.'));
      continue;
    }
    const asked: ChatMessage[] = [...messages, { role: 'user', content: text }];
    answering = new AbortController();
    let answer = '';
    try {
      const stream = await client.chat.completions.create(
        { ...sampling, messages: asked, stream: true },
        { signal: answering.signal },
      );
      for await (const chunk of stream) {
        const { content: piece = '', reasoning_content = '' } = chunk.choices[0]?.delta ?? {};
        if (reasoning_content !== '')
          process.stdout.write(paint.dim(printableOn(process.stdout, reasoning_content)));
        answer += piece;
        process.stdout.write(printableOn(process.stdout, piece));
      }
    } catch (error) {
      // A question without an answer is not part of the conversation.
      if (!answering.signal.aborted)
        output.note(`${answer === '' ? '' : '\n'}${explainError(error).message}`);
    }
    answering = null;
    if (answer !== '') {
      process.stdout.write('\n');
      messages = [...asked, { role: 'assistant', content: answer }];
    }
  }
  lines.close();
}

/** Asks for a line; null at the end of the input. */
async function question(lines: ReturnType<typeof createInterface>, prompt: string): Promise<string | null> {
  const gone = new AbortController();
  const onClose = () => gone.abort();
  lines.once('close', onClose);
  try {
    return (await lines.question(prompt, { signal: gone.signal })).trim();
  } catch {
    return null;
  } finally {
    lines.off('close', onClose);
  }
}
