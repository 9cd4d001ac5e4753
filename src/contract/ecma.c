/*-------------------------------------------------------------------------
 *
 * ecma.c
 *	  Translates an ECMA-262 regular expression into PCRE2's syntax.
 *
 * Called by pattern.c.  JSON Schema means ECMA-262 with the flag "u".  Where
 * PCRE2 spells or understands a construct differently it is rewritten into
 * one that both agree on (\s, \uXXXX, [^], "."); where it cannot be it is
 * refused with the reason: PCRE2's own extensions, which are faults in
 * ECMA-262, and the few ECMA-262 constructs that PCRE2 would get wrong.
 *
 * More lenient than the flag "u" in one respect: a punctuation character may
 * be escaped needlessly (\@, \-), as in the older grammar, because schemas
 * in use do it and it can mean only one thing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/ecma.h"

#define ANY_BUT_NEWLINE "[^\\x{a}\\x{d}\\x{2028}\\x{2029}]"
#define MAX_REPEAT		65535	/* PCRE2's limit of {n,m} */

bool
mo_ecma_fail(MoTranslator *t, const char *reason)
{
	if (t->reason == NULL)
		t->reason = pstrdup(reason);
	return false;
}

static void
emit_char(MoTranslator *t, uint32 ch)
{
	if (ch < 128 && (isalnum((int) ch) || strchr(" _,:;<>=!@%&\"'`~/", ch)))
		if (ch != 0)
		{
			appendStringInfoChar(&t->out, (char) ch);
			return;
		}
	appendStringInfo(&t->out, "\\x{%x}", ch);
}

uint32
mo_ecma_next(MoTranslator *t)
{
	int			n = pg_utf_mblen((const unsigned char *) t->p);
	uint32		ch;

	/* The text comes out of a UTF8 database, or is only looked at as bytes. */
	n = Min(n, t->end - t->p);
	ch = utf8_to_unicode((const unsigned char *) t->p);
	t->p += n;
	return ch;
}

static char *
read_group_name(MoTranslator *t)
{
	const char *close = memchr(t->p, '>', t->end - t->p);
	char	   *name;

	if (close == NULL || close == t->p)
	{
		mo_ecma_fail(t, "a group name must be followed by >");
		return NULL;
	}
	for (const char *s = t->p; s < close; s++)
	{
		if (!(isalpha((unsigned char) *s) || *s == '_' || *s == '$' ||
			  (s > t->p && isdigit((unsigned char) *s))))
		{
			mo_ecma_fail(t, "a group name is made of letters, digits, _ and $");
			return NULL;
		}
	}
	name = pnstrdup(t->p, close - t->p);
	t->p = close + 1;
	return name;
}

/* A back reference \n or \k<name>, after the backslash. */
static bool
translate_back_reference(MoTranslator *t)
{
	int			n = 0;

	if (mo_ecma_accept(t, "k"))
	{
		char	   *name;

		if (!mo_ecma_accept(t, "<"))
			return mo_ecma_fail(t, "\\k needs a group name in <>");
		if ((name = read_group_name(t)) == NULL)
			return false;
		for (n = 1; n <= t->opened; n++)
		{
			if (t->names[n] && strcmp(t->names[n], name) == 0)
				break;
		}
		if (n > t->opened)
			return mo_ecma_fail(t, "a back reference stands before its group");
	}
	else
	{
		while (t->p < t->end && isdigit((unsigned char) *t->p) && n < MAX_GROUPS)
			n = n * 10 + (*t->p++ - '0');
		if (n > t->captures)
			return mo_ecma_fail(t, "a back reference to a group that does not exist");
	}
	if (t->nreferred >= MAX_GROUPS)
		return mo_ecma_fail(t, "too many back references");
	t->referred[t->nreferred++] = n;

	/* In a lookbehind ECMA-262 matches from right to left. */
	for (int i = 0; i < t->depth; i++)
	{
		if (t->stack[i].lookbehind)
			return mo_ecma_fail(t, "a back reference in a lookbehind is not supported");
	}
	appendStringInfo(&t->out, "(?:\\g{%d})", n);
	return true;
}

static bool
translate_escape(MoTranslator *t)
{
	uint32		ch;

	if (t->p >= t->end)
		return mo_ecma_fail(t, "\\ at the end of the expression");
	if (mo_ecma_accept(t, "b"))
		mo_ecma_emit(t, "\\b");
	else if (mo_ecma_accept(t, "B"))
		mo_ecma_emit(t, "\\B");
	else if (*t->p == 'k' || (*t->p >= '1' && *t->p <= '9'))
		return translate_back_reference(t);
	else if (mo_ecma_class_escape(t, false))
		return true;
	else if (t->reason)
		return false;
	else if (mo_ecma_character(t, false, &ch))
	{
		if (mo_ecma_surrogate(ch))
			mo_ecma_emit(t, MO_ECMA_NEVER);
		else
			emit_char(t, ch);
	}
	else if (t->reason)
		return false;
	else
		return mo_ecma_fail(t, psprintf("\\%s is not an escape of ECMA-262",
								pnstrdup(t->p, Min(pg_utf_mblen((const unsigned char *) t->p),
												   t->end - t->p))));
	return true;
}

/* After "(". */
static bool
open_group(MoTranslator *t)
{
	MoEcmaGroup	   *group;

	if (t->depth >= MAX_GROUPS || t->opened + 1 >= MAX_GROUPS)
		return mo_ecma_fail(t, "too many groups");
	group = &t->stack[t->depth++];
	memset(group, 0, sizeof(MoEcmaGroup));
	group->first_capture = t->opened;
	if (!mo_ecma_accept(t, "?"))
	{
		group->capturing = true;
		t->opened++;
		mo_ecma_emit(t, "(");
	}
	else if (mo_ecma_accept(t, ":"))
		mo_ecma_emit(t, "(?:");
	else if (mo_ecma_accept(t, "="))
	{
		group->lookaround = true;
		mo_ecma_emit(t, "(?=");
	}
	else if (mo_ecma_accept(t, "!"))
	{
		group->lookaround = true;
		mo_ecma_emit(t, "(?!");
	}
	else if (mo_ecma_accept(t, "<="))
	{
		group->lookaround = group->lookbehind = true;
		mo_ecma_emit(t, "(?<=");
	}
	else if (mo_ecma_accept(t, "<!"))
	{
		group->lookaround = group->lookbehind = true;
		mo_ecma_emit(t, "(?<!");
	}
	else if (mo_ecma_accept(t, "<"))
	{
		char	   *name = read_group_name(t);

		if (name == NULL)
			return false;
		for (int i = 1; i <= t->opened; i++)
		{
			if (t->names[i] && strcmp(t->names[i], name) == 0)
				return mo_ecma_fail(t, psprintf("the group name %s is used twice",
										name));
		}
		t->names[++t->opened] = name;
		group->capturing = true;
		mo_ecma_emit(t, "(");
	}
	else
		return mo_ecma_fail(t, "(? must be followed by :, =, !, <=, <! or a <name>");
	return true;
}

/*
 * A repetition after an atom, if there is one.  "first_capture" is the
 * number of groups opened before the atom: those in it are now repeated.
 */
static bool
translate_quantifier(MoTranslator *t, int first_capture, bool repeatable)
{
	int			low = 0;
	int			high = -1;

	if (mo_ecma_accept(t, "*"))
		mo_ecma_emit(t, "*");
	else if (mo_ecma_accept(t, "+"))
		mo_ecma_emit(t, "+");
	else if (mo_ecma_accept(t, "?"))
	{
		mo_ecma_emit(t, "?");
		high = 1;
	}
	else if (mo_ecma_accept(t, "{"))
	{
		const char *start = t->p;

		while (t->p < t->end && isdigit((unsigned char) *t->p) && low <= MAX_REPEAT)
			low = low * 10 + (*t->p++ - '0');
		if (t->p == start)
			return mo_ecma_fail(t, "{ must begin a repetition {n}, {n,} or {n,m}, or be written \\{");
		high = low;
		if (mo_ecma_accept(t, ","))
		{
			start = t->p;
			high = 0;
			while (t->p < t->end && isdigit((unsigned char) *t->p) &&
				   high <= MAX_REPEAT)
				high = high * 10 + (*t->p++ - '0');
			if (t->p == start)
				high = -1;
		}
		if (!mo_ecma_accept(t, "}"))
			return mo_ecma_fail(t, "{ must begin a repetition {n}, {n,} or {n,m}, or be written \\{");
		if (low > MAX_REPEAT || high > MAX_REPEAT)
			return mo_ecma_fail(t, psprintf("a repetition may be at most %d times",
									MAX_REPEAT));
		if (high >= 0 && low > high)
			return mo_ecma_fail(t, "a repetition {n,m} is in the wrong order");
		if (high < 0)
			appendStringInfo(&t->out, "{%d,}", low);
		else
			appendStringInfo(&t->out, "{%d,%d}", low, high);
	}
	else
		return true;
	if (!repeatable)
		return mo_ecma_fail(t, "there is nothing to repeat");
	if (mo_ecma_accept(t, "?"))
		mo_ecma_emit(t, "?");
	if (mo_ecma_peek(t, "+") || mo_ecma_peek(t, "*") || mo_ecma_peek(t, "?") || mo_ecma_peek(t, "{"))
		return mo_ecma_fail(t, "a repetition cannot be repeated; possessive repetitions are not part of ECMA-262");
	if (high != 1 && high != 0)
	{
		for (int i = first_capture + 1; i <= t->opened && i < MAX_GROUPS; i++)
			t->repeated[i] = true;
	}
	return true;
}

/* One atom or assertion with its repetition. */
static bool
translate_term(MoTranslator *t)
{
	int			first_capture = t->opened;
	bool		repeatable = true;

	if (mo_ecma_accept(t, "\\"))
	{
		repeatable = !(mo_ecma_peek(t, "b") || mo_ecma_peek(t, "B"));
		if (!translate_escape(t))
			return false;
	}
	else if (mo_ecma_accept(t, "["))
	{
		if (!mo_ecma_class(t))
			return false;
	}
	else if (mo_ecma_accept(t, "("))
		return open_group(t);
	else if (mo_ecma_accept(t, ")"))
	{
		MoEcmaGroup	   *group;

		if (t->depth == 0)
			return mo_ecma_fail(t, ") without (");
		group = &t->stack[--t->depth];
		first_capture = group->first_capture;
		repeatable = !group->lookaround;
		mo_ecma_emit(t, ")");
	}
	else if (mo_ecma_accept(t, "."))
		mo_ecma_emit(t, ANY_BUT_NEWLINE);
	else if (mo_ecma_accept(t, "|"))
	{
		mo_ecma_emit(t, "|");
		repeatable = false;
	}
	else if (mo_ecma_accept(t, "^"))
	{
		mo_ecma_emit(t, "^");
		repeatable = false;
	}
	else if (mo_ecma_accept(t, "$"))
	{
		mo_ecma_emit(t, "$");
		repeatable = false;
	}
	else if (mo_ecma_peek(t, "*") || mo_ecma_peek(t, "+") || mo_ecma_peek(t, "?"))
		return mo_ecma_fail(t, "there is nothing to repeat");
	else if (mo_ecma_peek(t, "]") || mo_ecma_peek(t, "}"))
		return mo_ecma_fail(t, psprintf("%c must be written \\%c", *t->p, *t->p));
	else if (!mo_ecma_peek(t, "{"))
		emit_char(t, mo_ecma_next(t));
	else
		repeatable = false;
	return translate_quantifier(t, first_capture, repeatable);
}

/* Counts capturing groups beforehand, for references to later ones. */
static int
count_captures(const char *p, const char *end)
{
	bool		in_class = false;
	int			n = 0;

	for (; p < end; p++)
	{
		if (*p == '\\')
			p++;
		else if (*p == '[')
			in_class = true;
		else if (*p == ']')
			in_class = false;
		else if (*p == '(' && !in_class &&
				 (end - p < 2 || p[1] != '?' ||
				  (end - p > 3 && p[2] == '<' && p[3] != '=' && p[3] != '!')))
			n++;
	}
	return n;
}

char *
mo_ecma_translate(const char *source, uint32 len, char **reason)
{
	MoTranslator *t = palloc0(sizeof(MoTranslator));
	char	   *out;

	t->p = source;
	t->end = source + len;
	t->captures = count_captures(t->p, t->end);
	initStringInfo(&t->out);
	while (t->p < t->end && t->reason == NULL)
	{
		CHECK_FOR_INTERRUPTS();
		translate_term(t);
	}
	if (t->reason == NULL && t->depth > 0)
		mo_ecma_fail(t, "( without )");

	/*
	 * ECMA-262 forgets what a group captured when a repetition around it
	 * begins another round, PCRE2 keeps it.
	 */
	for (int i = 0; i < t->nreferred && t->reason == NULL; i++)
	{
		if (t->repeated[t->referred[i]])
			mo_ecma_fail(t, "a back reference to a group inside a repetition is not supported");
	}
	*reason = t->reason;
	out = t->out.data;
	if (t->reason != NULL)
	{
		pfree(out);
		out = NULL;
	}
	/* Twenty kilobytes, in the context of a program that lives long. */
	pfree(t);
	return out;
}
