import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import { answerExpression, fieldsExpression } from '../../schema/answers/answer-grammar.ts';
import { GrammarRules, literal } from '../../schema/answers/rules.ts';

/**
 * A constraint as a grammar in XGrammar's EBNF. Neither its JSON schemas nor its structural tags are used: the former allow values that
 * the schema does not, and the latter cannot repeat a tag within another form, nor without a separator. Throws SchemaFault.
 */
export function grammarText(format: ConstraintFormat): string {
  const rules = new GrammarRules();
  return rules.grammar(expression(format, rules));
}

function expression(part: ConstraintFormat, rules: GrammarRules): string {
  switch (part.type) {
    case 'const_string':
      return literal(part.value);
    case 'json_schema':
      return answerExpression(part.json_schema, rules);
    case 'fields':
      return fieldsExpression(part.json_schema, part.fields, part.values, rules);
    case 'sequence':
      return `(${part.elements.map((each) => expression(each, rules)).join(' ')})`;
    case 'or':
      return `(${part.elements.map((each) => expression(each, rules)).join(' | ')})`;
    case 'tag':
      return `(${literal(part.begin)} ${expression(part.content, rules)} ${literal(part.end)})`;
    case 'calls': {
      const call = rules.add(part.tags.map((tag) => expression(tag, rules)).join(' | '));
      return part.several ? `(${call} (${literal(part.separator)} ${call})*)` : call;
    }
  }
}
