-- ECMA-262 expressions: each construct that PCRE2 reads otherwise.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS mesh_outbox;
CREATE FUNCTION pg_temp.matches(pattern text, subject text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
  RETURN mesh_outbox.is_valid(jsonb_build_object('pattern', pattern), to_jsonb(subject))::text;
EXCEPTION WHEN OTHERS THEN RETURN SQLERRM;
END $$;
-- psql's versions disagree on the width of U+FEFF
SELECT p, replace(s, U&'\FEFF', '\ufeff') AS s, pg_temp.matches(p, s) FROM (VALUES
  -- translated
  ('^abc$', E'abc\n'), ('^.$', E'\r'), ('^.$', U&'\2028'), ('^.$', '😀'), ('^[^]$', E'\n'), ('[]', 'a'), ('x[]|a', 'a'),
  ('^\s$', U&'\00A0'), ('^\s$', U&'\FEFF'), ('^\S$', U&'\00A0'), ('^[\s]$', U&'\3000'), ('^[\S]$', U&'\3000'), ('^[^\S]$', U&'\00A0'),
  ('^\d$', U&'\0663'), ('^\w$', 'é'), ('\bé', 'aé'), ('^\D$', U&'\0663'), ('^[\d\-x]+$', '1-x'),
  ('^\u0061\u{1F600}$', 'a😀'), ('^\ud83d\ude00$', '😀'), ('^\x41\cJ$', E'A\n'), ('^[\ud800-\udfff]$', '😀'), ('^[\u0000-\uffff]$', 'é'),
  ('^\p{Letter}+$', 'aé'), ('^\p{Lu}$', 'A'), ('^\P{Lu}$', 'A'), ('^\p{Script=Greek}$', 'α'), ('^\p{sc=Grek}$', 'a'), ('^\p{gc=Nd}$', '7'), ('^\p{Emoji}$', '😀'), ('^\p{ASCII}$', 'é'),
  ('^(?<year>\d{4})-\k<year>$', '2026-2026'), ('^(a)?\1b$', 'b'), ('^(?:a|(b))\1$', 'a'), ('(?<=\$)\d', '$5'), ('(?<!\$)\b\d', '$5'), ('^a(?!b)', 'ac'),
  ('^\@\-\/\"$', '@-/"'), ('^[.*+?^$(){}|]+$', '.*+?^$(){}|'), ('^[[:alpha:]$', ':'), ('^\0$', 'x'), ('^a{2}$', 'aa'), ('^a{,2}$', 'a{,2}'),
  ('#x', '#x'), ('a b', 'a b'),
  -- refused: extensions of PCRE2, and what ECMA-262 calls an error
  ('(?i)a', 'A'), ('(?>a)', 'a'), ('a++', 'a'), ('\Aa', 'a'), ('a\z', 'a'), ('\Qa\E', 'a'), ('\h', ' '), ('\R', E'\n'), ('\K', ''), ('\G', ''),
  ('(*UCP)a', 'a'), ('(?#x)a', 'a'), ('(?|a)', 'a'), ('(?P<n>a)', 'a'), ('(?1)', ''), ('\g1', ''), ('a**', 'a'), ('*a', 'a'), ('(?=a)*', 'a'), ('^*', ''),
  ('a{3,2}', 'a'), ('{', '{'), ('}', '}'), (']', ']'), ('a{1', 'a'), ('(', '('), (')', ')'), ('[', '['), ('[b-a]', 'a'), ('[\d-x]', 'a'), ('\', ''),
  ('\2(a)', 'a'), ('\k<n>', ''), ('\k', 'k'), ('(?<n>a)(?<n>b)', 'ab'), ('\p{Greek}', 'α'), ('\p{L&}', 'a'), ('\p{Xan}', 'a'), ('\pL', 'a'), ('\p{Foo=Bar}', 'a'), ('\x4', ''), ('\u12', ''), ('\u{110000}', ''), ('\c1', ''), ('\01', ''), ('\a', 'a'), ('\e', ''), ('a{70000}', ''),
  -- refused: PCRE2 would answer differently
  ('^(?:(a)|b)*\1$', 'ab'), ('(?<=(a)\1)b', 'aab')
) t(p, s);
-- as far as PCRE2 does not know a lookbehind's length (its words differ by version)
SELECT pg_temp.matches('(?<=a+)b', 'aab') LIKE 'invalid JSON Schema at /pattern: %' AS refused;
-- no pattern can hang an INSERT
SELECT mesh_outbox.is_valid('{"pattern": "^(a+)+$"}', to_jsonb(repeat('a', 40) || 'b'));
SELECT mesh_outbox.is_valid('{"pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}', to_jsonb(repeat('a', 200)));
SELECT mesh_outbox.is_valid('{"pattern": "^(?:a?){50}a{50}$"}', to_jsonb(repeat('a', 49)));
SELECT mesh_outbox.is_valid('{"pattern": "^[a-z]+$"}', to_jsonb(repeat('a', 1000000)));
DROP EXTENSION mesh_outbox CASCADE;
