/*-------------------------------------------------------------------------
 *
 * examples_value.c
 *	  Scalars for example documents: as people would write them.
 *
 * Called by examples.c.  What is made here fits the bounds and formats of one
 * schema; whether the whole document is valid is the validator's to say.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "contract/examples.h"
#include "contract/format.h"
#include "contract/language.h"

static const char *const words[] = {
	"amber", "basalt", "cedar", "delta", "ember", "fjord", "grove", "harbour",
	"indigo", "juniper", "krill", "lumen", "maple", "nectar", "onyx", "prairie"
};

static const char *
word(MoMaker *m)
{
	return words[mo_maker_below(m, lengthof(words))];
}

static char *
date(MoMaker *m)
{
	return psprintf("%04d-%02d-%02d", 2015 + mo_maker_below(m, 15),
					1 + mo_maker_below(m, 12), 1 + mo_maker_below(m, 28));
}

static char *
time_of_day(MoMaker *m)
{
	return psprintf("%02d:%02d:%02dZ", mo_maker_below(m, 24),
					mo_maker_below(m, 60), mo_maker_below(m, 60));
}

static char *
uuid(MoMaker *m)
{
	uint64		a = pg_prng_uint64(&m->random);
	uint64		b = pg_prng_uint64(&m->random);

	return psprintf("%08x-%04x-4%03x-8%03x-%012llx", (uint32) a,
					(uint32) (a >> 32) & 0xFFFF, (uint32) (a >> 48) & 0xFFF,
					(uint32) (b >> 48) & 0xFFF,
					(unsigned long long) (b & UINT64CONST(0xFFFFFFFFFFFF)));
}

static const char *
formatted(MoMaker *m, const char *format)
{
	if (strcmp(format, "date") == 0)
		return date(m);
	if (strcmp(format, "time") == 0)
		return time_of_day(m);
	if (strcmp(format, "date-time") == 0)
		return psprintf("%sT%s", date(m), time_of_day(m));
	if (strcmp(format, "duration") == 0)
		return psprintf("PT%dM", 1 + mo_maker_below(m, 600));
	if (strcmp(format, "uuid") == 0)
		return uuid(m);
	if (strcmp(format, "email") == 0 || strcmp(format, "idn-email") == 0)
		return psprintf("%s.%s@example.com", word(m), word(m));
	if (strcmp(format, "hostname") == 0 || strcmp(format, "idn-hostname") == 0)
		return psprintf("%s.example.com", word(m));
	if (strcmp(format, "ipv4") == 0)
		return psprintf("192.0.2.%d", mo_maker_below(m, 256));
	if (strcmp(format, "ipv6") == 0)
		return psprintf("2001:db8::%x", mo_maker_below(m, 65536));
	if (strcmp(format, "json-pointer") == 0)
		return psprintf("/%s/%d", word(m), mo_maker_below(m, 10));
	if (strcmp(format, "relative-json-pointer") == 0)
		return psprintf("%d/%s", mo_maker_below(m, 3), word(m));
	if (strcmp(format, "uri-template") == 0)
		return psprintf("https://example.com/%s/{id}", word(m));
	if (strcmp(format, "regex") == 0)
		return psprintf("^%s[0-9]+$", word(m));
	return psprintf("https://example.com/%s/%d", word(m),
					mo_maker_below(m, 1000));
}

/* ---- strings with a pattern ---- */

typedef struct Wish
{
	MoMaker    *m;
	const MoPattern *pattern;
	int			skip;			/* words to refuse first, for variety */
	char	   *word;
} Wish;

static bool
go_on(void *arg)
{
	return mo_prover_tick(((Wish *) arg)->m->p);
}

static bool
take(void *arg, const char *w, int length)
{
	Wish	   *wish = arg;

	if (!mo_pattern_matches(wish->pattern, w, length))
		return false;
	if (wish->word == NULL)
		wish->word = MemoryContextAlloc(wish->m->p->context, length + 1);
	else
		wish->word = repalloc(wish->word, length + 1);
	memcpy(wish->word, w, length);
	wish->word[length] = '\0';
	return --wish->skip < 0;
}

static const char *
matching(MoMaker *m, const MoStringRules *rules)
{
	const char *source = mo_pattern_source(rules->pattern);
	const char *reason;
	MoLanguage *language = mo_language_compile(source, CurrentMemoryContext,
											   &reason);
	MoLanguageTerm term = {language, false};
	Wish		wish = {m, rules->pattern, mo_maker_below(m, 12), NULL};
	MoLanguageQuery query = {
		.terms = &term,.nterms = 1,
		.min_chars = rules->min_length,.max_chars = rules->max_length,
		.max_states = 2000,.tick = go_on,.accept = take,.arg = &wish,
		.max_words = 20
	};

	if (language == NULL || rules->min_length > 1000)
		return "Abcdef1!";
	mo_language_search(&query);
	return wish.word ? wish.word : "";
}

/* ---- plain strings ---- */

/* Words, as many as the length asks for. */
static const char *
plain(MoMaker *m, const MoStringRules *rules)
{
	StringInfoData buf;
	uint32		min = rules ? Min(rules->min_length, 100000) : 0;
	uint32		max = rules ? rules->max_length : PG_UINT32_MAX;

	initStringInfo(&buf);
	appendStringInfoString(&buf, word(m));
	while (buf.len < min || mo_maker_below(m, 3) == 0)
		appendStringInfo(&buf, " %s", word(m));
	if (buf.len > max)
		buf.data[max] = '\0';
	return buf.data;
}

static const MoJson *
make_string(MoMaker *m, const MoSurface *s)
{
	const MoStringRules *rules = s->string;
	const char *made;

	if (rules && rules->format)
		made = formatted(m, rules->format->name);
	else if (rules && rules->pattern)
		made = matching(m, rules);
	else
		made = plain(m, rules);
	return mo_json_string(m->p, made, strlen(made));
}

/* ---- numbers ---- */

static Numeric
decimal(const char *text)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in,
											   CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

static Numeric
bound_number(const MoBound *bound)
{
	return bound ? (Numeric) bound->value.data : NULL;
}

/* What the numbers count in. */
static Numeric
unit(const MoSurface *s, bool whole)
{
	if (s->number && s->number->multiple_of)
	{
		Numeric		of = (Numeric) s->number->multiple_of_value.data;

		return whole ? mo_numeric_op(numeric_lcm, of, int64_to_numeric(1)) :
			of;
	}
	return whole ? int64_to_numeric(1) : decimal("0.01");
}

/* Some units above the lower bound or below the upper one, at random. */
static const MoJson *
make_number(MoMaker *m, const MoSurface *s)
{
	static const MoNumberRules none = {0};
	const MoNumberRules *rules = s->number ? s->number : &none;
	bool		whole = (s->types & MO_T_INTEGER) || mo_maker_below(m, 2) == 0;
	Numeric		step = unit(s, whole);
	Numeric		low = bound_number(rules->minimum ? rules->minimum :
								   rules->exclusive_minimum);
	Numeric		high = bound_number(rules->maximum ? rules->maximum :
									rules->exclusive_maximum);
	static const int64 spans[] = {1, 3, 10, 100, 10000, 1000000};
	int64		far = (int64) pg_prng_uint64_range(&m->random, 0,
												   spans[mo_maker_below(m, lengthof(spans))]);
	Numeric		away = mo_numeric_op(numeric_mul, step, int64_to_numeric(far));
	Numeric		n = away;

	if (low)
		n = mo_numeric_op(numeric_add, low, away);
	else if (high)
		n = mo_numeric_op(numeric_sub, high, away);
	if (low && high && mo_numeric_cmp(n, high) > 0)
		n = mo_maker_below(m, 2) ? high : low;
	/* on a multiple, not below a lower bound */
	away = mo_numeric_op(numeric_mod, n, step);
	n = mo_numeric_op(numeric_sub, n, away);
	if (low && mo_numeric_cmp(n, low) < 0)
		n = mo_numeric_op(numeric_add, n, step);
	if (rules->exclusive_minimum &&
		mo_numeric_cmp(n, bound_number(rules->exclusive_minimum)) <= 0)
		n = mo_numeric_op(numeric_add, n, step);
	if (rules->exclusive_maximum &&
		mo_numeric_cmp(n, bound_number(rules->exclusive_maximum)) >= 0)
		n = mo_numeric_op(numeric_sub, n, step);
	return mo_json_number(m->p, n);
}

const MoJson *
mo_maker_scalar(MoMaker *m, const MoSurface *s, MoKind kind)
{
	switch (kind)
	{
		case MO_NULL:
			return mo_json_null(m->p);
		case MO_BOOLEAN:
			return mo_json_bool(m->p, mo_maker_below(m, 2));
		case MO_NUMBER:
			return make_number(m, s);
		default:
			return make_string(m, s);
	}
}
