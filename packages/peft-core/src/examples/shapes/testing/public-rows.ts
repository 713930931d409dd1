/** A row with the columns of a public data set, in words of our own, and what is trained on. */
export interface PublicRow {
  /** The data set on the Hub, or the documentation that describes the columns. */
  source: string;
  row: Record<string, unknown>;
  /** Its cells are text, as in a CSV file. */
  isCsv?: boolean;
  /** Name of the shape, or of the format. */
  readAs: string;
  /** Each sequence, as the template below writes it; what is trained on is in «». */
  sequences: readonly string[];
  unread: readonly string[];
}

/** Turns are `role:content</s>`; names of tools come before, calls after their content. */
export const TEMPLATE =
  "{% if tools %}{% for t in tools %}[{{ t.function.name }}]{% endfor %}{% endif %}{% for m in messages %}{{ m.role + ':' }}{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ c.function.name }}({{ c.function.arguments | tojson }}){% endfor %}{{ '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const from = (from: string, value: string, others: object = {}) => ({ from, value, ...others });
const stock = { name: 'stock', description: 'Counts parts.', parameters: { type: 'object', properties: {} } };

export const publicRows: readonly PublicRow[] = [
  {
    source: 'databricks/databricks-dolly-15k',
    row: { instruction: 'Which tyre?', context: 'The rim is 622.', response: 'A 32.', category: 'closed_qa' },
    readAs: 'question_answer',
    sequences: ['user:Which tyre?\n\nThe rim is 622.</s>assistant:«A 32.</s>»'],
    unread: ['category'],
  },
  {
    source: 'rajpurkar/squad',
    row: {
      id: '1',
      title: 'Rims',
      context: 'The rim is 622.',
      question: 'How wide is it?',
      answers: { text: ['622'], answer_start: [11] },
    },
    readAs: 'question_answer',
    sequences: ['user:The rim is 622.\n\nHow wide is it?</s>assistant:«622</s>»'],
    unread: ['id', 'title'],
  },
  {
    source: 'b-mc2/sql-create-context',
    row: { question: 'How many?', context: 'CREATE TABLE rims (n INT)', answer: 'SELECT n FROM rims' },
    readAs: 'question_answer',
    sequences: ['user:CREATE TABLE rims (n INT)\n\nHow many?</s>assistant:«SELECT n FROM rims</s>»'],
    unread: [],
  },
  {
    source: 'neural-bridge/rag-dataset-12000',
    row: { context: 'The shop opens at 9.', question: 'When?', answer: 'At 9.' },
    readAs: 'question_answer',
    sequences: ['user:The shop opens at 9.\n\nWhen?</s>assistant:«At 9.</s>»'],
    unread: [],
  },
  {
    source: 'Open-Orca/OpenOrca',
    row: { id: 'a', system_prompt: 'Be brief.', question: 'Open?', response: 'Yes.' },
    readAs: 'question_answer',
    sequences: ['system:Be brief.</s>user:Open?</s>assistant:«Yes.</s>»'],
    unread: ['id'],
  },
  {
    source: 'openai/gsm8k',
    row: { question: 'Two and two?', answer: '2 + 2 = 4\n#### 4' },
    readAs: 'question_answer',
    sequences: ['user:Two and two?</s>assistant:«2 + 2 = 4\n#### 4</s>»'],
    unread: [],
  },
  {
    source: 'tatsu-lab/alpaca',
    row: { instruction: 'Name it.', input: 'It stops.', output: 'A brake.', text: 'Below is an instruction' },
    readAs: 'alpaca',
    sequences: ['user:Name it.\n\nIt stops.</s>assistant:«A brake.</s>»'],
    unread: ['text'],
  },
  {
    source: 'LLaMA-Factory, data/README.md (alpaca)',
    row: {
      instruction: 'And this?',
      input: '',
      output: 'A rim.',
      system: 'Name parts.',
      history: [['What is this?', 'A brake.']],
    },
    readAs: 'alpaca',
    sequences: [
      'system:Name parts.</s>user:What is this?</s>assistant:«A brake.</s>»user:And this?</s>assistant:«A rim.</s>»',
    ],
    unread: [],
  },
  {
    source: 'ms-swift, docs (custom datasets)',
    row: { query: 'And this?', response: 'A rim.', history: [['What is this?', 'A brake.']], system: '' },
    readAs: 'question_answer',
    sequences: ['user:What is this?</s>assistant:«A brake.</s>»user:And this?</s>assistant:«A rim.</s>»'],
    unread: [],
  },
  {
    source: 'HuggingFaceH4/ultrachat_200k',
    row: { prompt: 'Which tyre?', prompt_id: 'a', messages: [user('Which tyre?'), assistant('A 32.')] },
    readAs: 'chat',
    sequences: ['user:Which tyre?</s>assistant:«A 32.</s>»'],
    unread: ['prompt_id'],
  },
  {
    source: 'allenai/tulu-3-sft-mixture',
    row: { id: 'a', messages: [user('Open?'), assistant('Yes.')], source: 'shop' },
    readAs: 'chat',
    sequences: ['user:Open?</s>assistant:«Yes.</s>»'],
    unread: ['id', 'source'],
  },
  {
    source: 'teknium/OpenHermes-2.5',
    row: {
      id: null,
      source: 'shop',
      system_prompt: null,
      model: null,
      prompt: null,
      messages: null,
      conversations: [from('human', 'Open?', { weight: null }), from('gpt', 'Yes.', { weight: null })],
    },
    readAs: 'sharegpt',
    sequences: ['user:Open?</s>assistant:«Yes.</s>»'],
    unread: ['source'],
  },
  {
    source: 'zai-org/AgentInstruct',
    row: {
      id: 'a',
      conversations: [
        from('human', 'You true wheels.', { loss: null }),
        from('gpt', 'I do.', { loss: false }),
        from('human', 'It wobbles.', { loss: null }),
        from('gpt', 'True it.', { loss: true }),
      ],
    },
    readAs: 'sharegpt',
    sequences: ['user:You true wheels.</s>assistant:I do.</s>user:It wobbles.</s>assistant:«True it.</s>»'],
    unread: ['id'],
  },
  {
    source: 'axolotl, docs/dataset-formats/conversation (message_field_training)',
    row: {
      conversations: [
        from('human', 'Open?'),
        from('gpt', 'Perhaps.', { train: false }),
        from('human', 'Sure?'),
        from('gpt', 'Yes.', { train: true }),
      ],
    },
    readAs: 'sharegpt',
    sequences: ['user:Open?</s>assistant:Perhaps.</s>user:Sure?</s>assistant:«Yes.</s>»'],
    unread: [],
  },
  {
    source: 'llamafactory/glaive_toolcall_en',
    row: {
      conversations: [
        from('human', 'Any tyres?'),
        from('function_call', '{"name": "stock", "arguments": {"part": "tyre"}}'),
        from('observation', '{"left": 3}'),
        from('gpt', 'Three.'),
      ],
      tools: JSON.stringify([stock]),
    },
    readAs: 'sharegpt',
    sequences: [
      '[stock]user:Any tyres?</s>assistant:«stock({"part": "tyre"})</s>»tool:{"left": 3}</s>assistant:«Three.</s>»',
    ],
    unread: [],
  },
  {
    source: 'NousResearch/hermes-function-calling-v1',
    row: {
      id: 'a',
      category: 'shop',
      subcategory: 'stock',
      task: 'count',
      tools: JSON.stringify([stock]),
      conversations: [
        from('system', 'Call tools in tags.'),
        from('human', 'Any tyres?'),
        from('gpt', '<tool_call>{"name": "stock"}</tool_call>'),
        from('tool', '<tool_response>3</tool_response>'),
        from('gpt', 'Three.'),
      ],
    },
    readAs: 'sharegpt',
    sequences: [
      '[stock]system:Call tools in tags.</s>user:Any tyres?</s>assistant:«<tool_call>{"name": "stock"}</tool_call></s>»tool:<tool_response>3</tool_response></s>assistant:«Three.</s>»',
    ],
    unread: ['id', 'category', 'subcategory', 'task'],
  },
  {
    source: 'Team-ACE/ToolACE',
    row: {
      system: 'Call stock().',
      conversations: [
        from('user', 'Any tyres?'),
        from('assistant', '[stock(part="tyre")]'),
        from('tool', '[{"left": 3}]'),
        from('assistant', 'Three.'),
      ],
    },
    readAs: 'sharegpt',
    sequences: [
      'system:Call stock().</s>user:Any tyres?</s>assistant:«[stock(part="tyre")]</s>»tool:[{"left": 3}]</s>assistant:«Three.</s>»',
    ],
    unread: [],
  },
  {
    source: 'Salesforce/xlam-function-calling-60k',
    row: {
      id: 1,
      query: 'Any tyres?',
      answers: '[{"name": "stock", "arguments": {"part": "tyre"}}]',
      tools: '[{"name": "stock", "description": "Counts.", "parameters": {"part": {"type": "str"}}}]',
    },
    readAs: 'question_answer',
    sequences: ['[stock]user:Any tyres?</s>assistant:«stock({"part": "tyre"})</s>»'],
    unread: ['id'],
  },
  {
    source: 'HuggingFaceH4/ultrafeedback_binarized',
    row: {
      prompt: 'Which tyre?',
      prompt_id: 'a',
      score_chosen: 8,
      score_rejected: 2,
      chosen: [user('Which tyre?'), assistant('A 32.')],
      rejected: [user('Which tyre?'), assistant('Any.')],
      messages: [user('Which tyre?'), assistant('A 32.')],
    },
    readAs: 'preference',
    sequences: ['user:Which tyre?</s>assistant:', '«A 32.</s>»', '«Any.</s>»'],
    unread: ['prompt_id', 'score_chosen', 'score_rejected', 'messages'],
  },
  {
    source: 'Intel/orca_dpo_pairs',
    row: { system: 'Be brief.', question: 'Which tyre?', chosen: 'A 32.', rejected: 'Any.' },
    readAs: 'question_preference',
    sequences: ['system:Be brief.</s>user:Which tyre?</s>assistant:', '«A 32.</s>»', '«Any.</s>»'],
    unread: [],
  },
  {
    source: 'Anthropic/hh-rlhf',
    row: { chosen: '\n\nHuman: Open?\n\nAssistant: Yes.', rejected: '\n\nHuman: Open?\n\nAssistant: No.' },
    readAs: 'preference',
    sequences: ['\n\nHuman: Open?\n\nAssistant:', '« Yes.</s>»', '« No.</s>»'],
    unread: [],
  },
  {
    source: 'llamafactory/demo_data (dpo_en_demo)',
    row: {
      conversations: [from('human', 'Which tyre?')],
      chosen: from('gpt', 'A 32.'),
      rejected: from('gpt', 'Any.'),
    },
    readAs: 'sharegpt',
    sequences: ['user:Which tyre?</s>assistant:', '«A 32.</s>»', '«Any.</s>»'],
    unread: [],
  },
  {
    source: 'llamafactory/demo_data (kto_en_demo)',
    row: { messages: [user('Which tyre?'), assistant('A 32.')], label: true },
    readAs: 'unpaired_preference',
    sequences: ['user:Which tyre?</s>assistant:«A 32.</s>»'],
    unread: [],
  },
  {
    source: 'trl-lib/kto-mix-14k',
    row: { prompt: [user('Which tyre?')], completion: [assistant('Any.')], label: false },
    readAs: 'unpaired_preference',
    sequences: ['user:Which tyre?</s>assistant:«Any.</s>»'],
    unread: [],
  },
  {
    source: 'TRL, docs/dataset_formats (unpaired preference, as CSV)',
    row: { prompt: 'Which tyre?', completion: ' Any.', label: 'False' },
    isCsv: true,
    readAs: 'unpaired_preference',
    sequences: ['Which tyre?« Any.</s>»'],
    unread: [],
  },
];
