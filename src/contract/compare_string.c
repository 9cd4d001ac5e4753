/*-------------------------------------------------------------------------
 *
 * compare_string.c
 *	  Strings: length, patterns, formats, excluded values.
 *
 * Patterns become automata (language_*.c); length and excluded strings are
 * part of the same search.  A format is known by an expression that all its
 * strings satisfy, for some formats exactly those; what that leaves open, and
 * patterns that are not regular, is tried on candidate strings with the
 * engine's own check.  So "no such string" rests on automata alone, and every
 * string offered as a witness has been checked by the engine.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "contract/compare_formula.h"
#include "contract/language.h"

#define MAX_PRODUCT_STATES 20000
#define MAX_WORDS 400

/* Longest string made without need of a search. */
#define MAX_PLAIN (1024 * 1024)

#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define HEX4 "[0-9a-fA-F]{4}"
#define DATE "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
#define TIME "[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([zZ]|[+-][0-9]{2}:[0-9]{2})"
#define SCHEME "[A-Za-z][A-Za-z0-9+.-]*:"

typedef struct KnownFormat
{
	const char *name;
	const char *pattern;		/* holds for all its strings; or NULL */
	bool		exact;			/* and for no others */
	const char *samples[3];
} KnownFormat;

static const KnownFormat known_formats[] = {
	{"date", "^" DATE "$", false, {"2024-02-29", "1999-12-31"}},
	{"time", "^" TIME "$", false, {"12:30:00Z", "08:15:30.5+02:00"}},
	{"date-time", "^" DATE "[tT]" TIME "$", false,
	{"2024-05-17T12:30:00Z", "1999-12-31T23:59:59.25+01:00"}},
	{"duration", "^P[0-9TDWMYHS]+$", false, {"P3D", "PT15M", "P1Y2M10DT2H30M"}},
	{"email", "@", false, {"anna@example.com", "b@c.de"}},
	{"idn-email", "@", false, {"anna@example.com"}},
	{"hostname", "^[A-Za-z0-9.-]+$", false, {"example.com", "localhost"}},
	{"idn-hostname", NULL, false, {"example.com", "b\303\274cher.example"}},
	{"ipv4", "^" OCTET "(\\." OCTET "){3}$", true, {"192.0.2.1", "127.0.0.1"}},
	{"ipv6", "^[0-9a-fA-F:.]{2,45}$", false, {"2001:db8::1", "::1"}},
	{"uri", "^" SCHEME, false, {"https://example.com/a", "urn:x:y"}},
	{"uri-reference", NULL, false, {"/a/b?c=d#e", "https://example.com/a"}},
	{"iri", "^" SCHEME, false, {"https://example.com/\303\244"}},
	{"iri-reference", NULL, false, {"/\303\244"}},
	{"uuid", "^[0-9a-fA-F]{8}-" HEX4 "-" HEX4 "-" HEX4 "-[0-9a-fA-F]{12}$",
		true,
		{"0b0a6f2e-5c3d-4e8f-9a1b-2c3d4e5f6a7b",
	"ffffffff-ffff-ffff-ffff-ffffffffffff"}},
	{"uri-template", NULL, false, {"/users/{id}", "https://example.com/{?q}"}},
	{"json-pointer", "^(/([^~/]|~[01])*)*$", true, {"", "/a/0", "/a~1b"}},
	{"relative-json-pointer", "^[0-9]+", false, {"0", "1/a", "2#"}},
	{"regex", NULL, false, {"^a*$", "[0-9]+"}}
};

/* Formats whose strings all have another one too (RFC 3986 and 3987). */
static const char *const implied_formats[][2] = {
	{"uri", "uri-reference"},
	{"uri", "iri"},
	{"uri", "iri-reference"},
	{"uri-reference", "iri-reference"},
	{"iri", "iri-reference"}
};

/* Tried for what must not have a format or match a pattern. */
static const char *const odd_strings[] = {
	"", "x", "not a value", "0", "42", "{", "(", "http://exa mple.com/", "a@",
	"-", "%", "\\", "abc", "A1b2C3d4", "Passw0rd!", "0000-00-00", "~", "a.b"
};

typedef struct Strings
{
	MoProver   *p;
	MoFormula **literals;
	int			n;
	int64		min;
	int64		max;
	MoLanguageTerm *terms;
	int			nterms;
	const char **excluded;
	int			nexcluded;
	MoFormula  *opaque;			/* some literal the automata do not decide */
	const char *opaque_reason;
	const MoJson *found;
} Strings;

static const KnownFormat *
known_format(const char *name)
{
	for (int i = 0; i < lengthof(known_formats); i++)
		if (strcmp(known_formats[i].name, name) == 0)
			return &known_formats[i];
	return NULL;
}

/* The literal's automaton; of a format the expression it is known by. */
static const MoLanguage *
language_of(MoProver *p, MoFormula *f, const char **reason)
{
	MoFormula  *base = f->negated ? mo_formula_not(p, f) : f;
	const char *pattern = base->text;
	const KnownFormat *format;

	*reason = "a format";
	if (base->kind == MO_F_STR_FORMAT)
	{
		format = known_format(base->text);
		if (format == NULL || format->pattern == NULL)
			return NULL;
		pattern = format->pattern;
	}
	if (!base->language_tried)
	{
		base->language = mo_language_compile(pattern, p->context,
											 &base->language_reason);
		base->language_tried = true;
	}
	*reason = base->language_reason;
	return base->language;
}

static void
set_opaque(Strings *s, MoFormula *f, const char *reason)
{
	if (s->opaque == NULL)
	{
		s->opaque = f;
		s->opaque_reason = reason;
	}
}

static void
add_language(Strings *s, MoFormula *f)
{
	const char *reason;
	const MoLanguage *language = language_of(s->p, f, &reason);
	bool		exact = true;

	if (f->kind == MO_F_STR_FORMAT)
	{
		const KnownFormat *format = known_format(f->text);

		exact = format != NULL && format->exact;
	}
	if (!exact || language == NULL)
		set_opaque(s, f, reason ? reason : "a format");
	/* what all strings of a format satisfy says nothing of the others */
	if (language == NULL || (f->negated && !exact))
		return;
	s->terms[s->nterms].language = language;
	s->terms[s->nterms++].negated = f->negated;
}

static void
gather(Strings *s)
{
	int			excluded = 0;

	for (int i = 0; i < s->n; i++)
		if (s->literals[i]->kind == MO_F_ENUM)
			excluded += s->literals[i]->nvalues;
	s->terms = palloc(sizeof(MoLanguageTerm) * (s->n + 1));
	s->excluded = palloc(sizeof(char *) * (excluded + 1));
	for (int i = 0; i < s->n; i++)
	{
		MoFormula  *f = s->literals[i];

		switch (f->kind)
		{
			case MO_F_STR_MIN:
				s->min = Max(s->min, f->count);
				break;
			case MO_F_STR_MAX:
				s->max = Min(s->max, f->count);
				break;
			case MO_F_ENUM:
				for (int j = 0; j < f->nvalues; j++)
					s->excluded[s->nexcluded++] = f->values[j]->string;
				break;
			default:
				add_language(s, f);
		}
	}
}

/* Is a format asked for that implies one which is ruled out? */
static bool
formats_exclude(const Strings *s)
{
	for (int i = 0; i < s->n; i++)
		for (int j = 0; j < s->n; j++)
		{
			const MoFormula *a = s->literals[i];
			const MoFormula *b = s->literals[j];

			if (a->kind != MO_F_STR_FORMAT || a->negated ||
				b->kind != MO_F_STR_FORMAT || !b->negated)
				continue;
			for (int k = 0; k < lengthof(implied_formats); k++)
				if (strcmp(implied_formats[k][0], a->text) == 0 &&
					strcmp(implied_formats[k][1], b->text) == 0)
					return true;
		}
	return false;
}

static bool
tick(void *arg)
{
	return mo_prover_tick(((Strings *) arg)->p);
}

static bool
accept(void *arg, const char *word, int length)
{
	Strings    *s = arg;
	const MoJson *v = mo_json_string(s->p, word, length);

	for (int i = 0; i < s->n; i++)
		if (mo_formula_holds(s->p, s->literals[i], v) != 1)
			return false;
	s->found = v;
	return true;
}

/* Strings that people and schemas use, before any are made up. */
static bool
try_samples(Strings *s)
{
	int			tried = 0;

	for (int i = 0; i < lengthof(known_formats); i++)
		for (int j = 0; j < 3 && known_formats[i].samples[j]; j++)
			if (accept(s, known_formats[i].samples[j],
					   strlen(known_formats[i].samples[j])))
				return true;
	for (int i = 0; i < lengthof(odd_strings); i++)
		if (accept(s, odd_strings[i], strlen(odd_strings[i])))
			return true;
	for (uint32 i = 0; i < s->p->value_slots && tried < 500; i++)
		for (const MoJson *v = s->p->value_table[i]; v; v = v->next)
			if (v->kind == MO_STRING && ++tried < 500 &&
				accept(s, v->string, v->length))
				return true;
	return false;
}

/* Without patterns and formats only the length matters. */
static bool
try_plain(Strings *s)
{
	static const char *const usual[] = {"string", "text", "a", "b"};
	char	   *word;
	bool		taken;

	for (int i = 0; i < lengthof(usual); i++)
		if (accept(s, usual[i], strlen(usual[i])))
			return true;
	if (s->min > MAX_PLAIN)
		return false;
	word = palloc(s->min + 1);
	memset(word, 'a', s->min);
	taken = accept(s, word, s->min);
	pfree(word);
	return taken;
}

static MoVerdictState
search(Strings *s)
{
	MoLanguageQuery query = {
		.terms = s->terms,
		.nterms = s->nterms,
		.min_chars = s->min,
		.max_chars = s->max,
		.excluded = s->excluded,
		.nexcluded = s->nexcluded,
		.max_states = MAX_PRODUCT_STATES,
		.tick = tick,
		.accept = accept,
		.arg = s,
		.max_words = MAX_WORDS
	};
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "mesh_outbox language search",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	MoLanguageResult result;

	result = mo_language_search(&query);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	switch (result)
	{
		case MO_LANGUAGE_EMPTY:
			return MO_EMPTY;
		case MO_LANGUAGE_FOUND:
			return MO_WITNESS;
		default:
			break;
	}
	if (s->opaque)
		mo_prover_unsure(s->p, s->opaque->kind == MO_F_STR_FORMAT ?
						 "format" : "pattern",
						 psprintf("\"%s\" has %s, which is only tried on examples",
								  s->opaque->text, s->opaque_reason));
	else
		mo_prover_unsure(s->p, "pattern", "the patterns together are too large");
	return MO_UNKNOWN;
}

MoVerdictState
mo_string_solve(MoProver *p, MoFormula **literals, int n,
				const MoJson **witness)
{
	Strings		s = {.p = p,.literals = literals,.n = n,.max = MO_NO_LIMIT};
	MoVerdictState state = MO_UNKNOWN;

	gather(&s);
	if (s.min > s.max || formats_exclude(&s))
		state = MO_EMPTY;
	else if (s.nterms == 0 && s.opaque == NULL && try_plain(&s))
		state = MO_WITNESS;
	else if (s.opaque != NULL && try_samples(&s))
		state = MO_WITNESS;
	else
		state = search(&s);
	*witness = s.found;
	pfree(s.terms);
	pfree(s.excluded);
	return state;
}
