import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nestedRepetition } from './nested-repetition.ts';

test('a repetition of a repetition with nothing between is found', () => {
  for (const [pattern, found] of [
    ['^(([a-z ]*[a-z ]*)*)*$', '([a-z ]*[a-z ]*)*'],
    ['(a+)+', '(a+)+'],
    ['x(?:[a-z]{0,5})+y', '(?:[a-z]{0,5})+'],
    ['([a-z]?){100}', '([a-z]?){100}'],
    ['(a|b*)*', '(a|b*)*'],
    ['(a|)*', '(a|)*'],
    ['(^a*$)*', '(^a*$)*'],
    ['(,[a-z]+|( [a-z]+)+)*', '(,[a-z]+|( [a-z]+)+)*'],
    ['((,[a-z]+)*){2,}', '((,[a-z]+)*){2,}'],
    ['a*+', 'a*+'],
    ['(([a-z ]*[a-z])*[a-z])*', '(([a-z ]*[a-z])*[a-z])*'],
    ['(?P<n>\\d+)*', '(?P<n>\\d+)*'],
    ['([(]a*|b+)*', '([(]a*|b+)*'],
  ] as const)
    assert.equal(nestedRepetition(pattern), found, pattern);
});

test('repetitions with something between, and other patterns, are not', () => {
  for (const pattern of [
    '',
    '^[a-z0-9.+-]+@([a-z0-9-]+\\.)+[a-z]{2,}$',
    '^[A-Z]\\w*( [A-Z]\\w*)*$',
    '^(\\d{1,3}\\.){3}\\d{1,3}$',
    '^\\d{4}-\\d{2}-\\d{2}(T\\d+(\\.\\d+)?Z?)?$',
    '^(abc|de){0,10}$',
    '(\\d{3}[- ]?){2}',
    '((\\d{1,3}\\.){3}\\d{1,3},)*',
    '((( x)+,)+;)?',
    '([a-z]*)?',
    '[(*+]*',
    '\\(a*\\)*',
    'a*?b+?',
    '{,3}*',
    ')(',
  ])
    assert.equal(nestedRepetition(pattern), null, pattern);
});
