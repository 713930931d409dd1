/** Words and phrases that a reader from another project would stop at, and what to write instead (docs/decisions/0047-plain-english.md). */
export interface AvoidedWord {
  /** Matched without regard to case. */
  pattern: RegExp;
  /** What to write instead. */
  instead: string;
}

/** In comments, strings, text of the pages and Markdown. */
export const avoidedPhrases: AvoidedWord[] = [
  { pattern: /\btold\b|\btells?\b/, instead: 'report, log, document, show' },
  { pattern: /\bheld against\b/, instead: 'compared with, checked against' },
  { pattern: /\b(?:go(?:es)?|going|gone|went) on\b(?! to\b)/, instead: 'continue, resume' },
  { pattern: /\b(?:comes?|came) to\b(?! (?:an end|a stop))/, instead: 'is, totals, estimate' },
  { pattern: /\bso many\b/, instead: 'N, up to N' },
  { pattern: /\bbegun\b/, instead: 'started' },
  { pattern: /\bsendings\b/, instead: 'uploads' },
  { pattern: /\bin sight\b/, instead: 'visible' },
  { pattern: /\bwho(?:so)?ever\b/, instead: 'anyone who, the user' },
  { pattern: /\bat once at most\b/, instead: 'at a time, maximum concurrent' },
  { pattern: /\b(?:is|are|was|were) taken\b(?! (?:by another|already))/, instead: 'accepted, read' },
  { pattern: /\b(?:is|are|was|were|went) away\b/, instead: 'unavailable' },
  { pattern: /\bmak(?:e|es|ing) room\b|\bmade room\b/, instead: 'preempt, free space' },
  { pattern: /\broom (?:for|left)\b/, instead: 'memory, space, capacity' },
  { pattern: /\bmend(?:s|ed|ing)?\b/, instead: 'fix, repair' },
  { pattern: /\banew\b/, instead: 'again' },
  { pattern: /\blearnt\b/, instead: 'learned, trained on' },
  { pattern: /\bshall\b/, instead: 'must' },
  { pattern: /\bmade of\b/, instead: 'built from, created from' },
  {
    pattern: /\bgiv(?:es?|en|ing) back\b|\bgiv(?:es|en|ing) up\b|\bgave (?:up|back)\b/,
    instead: 'release, evict, drop',
  },
  { pattern: /\blooked at\b/, instead: 'read, inspected' },
  { pattern: /\bno more\b(?!(?: [\w-]+){0,3} than\b)/, instead: 'no longer' },
  { pattern: /\bof (?:its|their) own\b/, instead: 'separate, private, own' },
  { pattern: /\bstands? (?:in|on)\b|\bstanding\b(?<!long-standing)/, instead: 'is in, status' },
  { pattern: /\basked for\b/, instead: 'requested' },
  { pattern: /\bfault of its own\b/, instead: 'internal error' },
  { pattern: /\bthat which\b/, instead: 'name the thing' },
];

/** Names of functions, variables, types and members: nouns for values, verbs for functions, never a pronoun or an adverb. */
export const avoidedNames: AvoidedWord[] = [
  { pattern: /^(?:as|of|beside|along|given|made|gone|asked)[A-Z]\w*$/, instead: 'a noun' },
  { pattern: /^(?:As|Of|Beside|Along|Given|Made|Gone|Asked)[A-Z]\w*$/, instead: 'a noun' },
  { pattern: /^#?(?:tells?|told)$/, instead: 'what is reported, or a verb of the field' },
  { pattern: /^(?:tells?|told|says?|said|most|may)[A-Z]\w*$/, instead: 'report, max, can' },
];

/** Standard names, and names of columns. */
export const knownNames = new Set(['asCurl', 'ofType', 'asyncIterator', 'madeByKey', 'givenName']);
