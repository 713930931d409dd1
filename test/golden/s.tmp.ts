import { loadTokenizer } from '@graft/peft-core/text';
import { assistantSpans } from '../../packages/peft-core/src/chat/assistant-spans.ts';
import { conversations } from './fixtures/template-conversations.ts';
import { trlTemplates } from './fixtures/trl-templates.ts';
for (const { name, files } of await trlTemplates()) {
  const t = loadTokenizer(files);
  for (const { name: c, messages, tools, kwargs = {} } of conversations) for (const allowSpecialTokens of [true, false]) {
    if (!messages.some((m) => m.role === 'assistant')) continue;
    try { assistantSpans(t, messages, { templateKwargs: kwargs, allowSpecialTokens, ...(tools?.length ? { tools } : {}) }); }
    catch (e: any) { if (/writes the mess/.test(e.message)) { console.log(name, c, allowSpecialTokens, e.message.slice(-30));
      const i = Number(/messages\[(\d+)/.exec(e.message)![1]);
      console.log(JSON.stringify(t.applyChatTemplate(messages.slice(0, i), { addGenerationPrompt: true, kwargs, ...(tools ? { tools } : {}) }).slice(-400)));
      console.log(JSON.stringify(t.applyChatTemplate(messages.slice(0, i+1), { kwargs, ...(tools ? { tools } : {}) }).slice(-400)));
    } }
  }
}
