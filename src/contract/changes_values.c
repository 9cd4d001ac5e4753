/*-------------------------------------------------------------------------
 *
 * changes_values.c
 *	  What differs in bounds, listed values, strings and numbers.
 *
 * Called by changes.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/changes.h"

/* ---- one bound ---- */

/* "1 item" of "items". */
static const char *
counted(const char *count, const char *noun)
{
	int			length;

	if (noun == NULL)
		return count;
	length = strlen(noun);
	if (strcmp(count, "1") != 0)
		return psprintf("%s %s", count, noun);
	if (strcmp(noun, "properties") == 0)
		return "1 property";
	return psprintf("1 %.*s", length - 1, noun);
}

/*
 * A lower or upper limit, NULL where there is none.  "most" says of which
 * kind, "at least" for one; "noun" what is counted, NULL for the value itself.
 */
void
mo_changes_limit(MoChangeWalk *w, const char *keyword, const char *most,
			  const char *noun, const char *old, const char *new)
{
	const char *verb = noun ? "have" : "be";

	if (old == NULL && new == NULL)
		return;
	if (old && new && strcmp(old, new) == 0)
		return;
	if (old == NULL)
		mo_changes_note(w, keyword, psprintf("%s must now %s %s %s", mo_path_words(w->path), verb, most,
								  counted(new, noun)),
			 psprintf("leave %s out", keyword));
	else if (new == NULL)
		mo_changes_note(w, keyword, psprintf("%s need no longer %s %s %s", mo_path_words(w->path), verb,
								  most, counted(old, noun)),
			 psprintf("keep %s: %s", keyword, old));
	else
		mo_changes_note(w, keyword, psprintf("%s must now %s %s %s, was %s", mo_path_words(w->path), verb,
								  most, counted(new, noun), old),
			 psprintf("keep %s: %s", keyword, old));
}

const char *
mo_changes_count(uint32 count, uint32 none)
{
	return count == none ? NULL : psprintf("%u", count);
}

static const char *
bound_words(const MoBound *bound)
{
	return bound ? mo_value_words(&bound->value) : NULL;
}

/* ---- values, strings, numbers ---- */

static bool
enum_has(const MoEnum *e, const MoValue *v)
{
	for (int i = 0; i < e->count; i++)
		if (mo_value_compare(&e->values[i], v) == 0)
			return true;
	return false;
}

/* The values of one that the other lacks, in words; NULL when none. */
static const char *
missing_values(const MoEnum *of, const MoEnum *in)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < of->count; i++)
		if (!enum_has(in, &of->values[i]))
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
							 mo_value_words(&of->values[i]));
	return buf.len > 0 ? buf.data : NULL;
}

void
mo_changes_values(MoChangeWalk *w, const MoSurface *old, const MoSurface *new)
{
	const char *gone;
	const char *come;

	if (old->values == NULL && new->values == NULL)
		return;
	if (old->values == NULL)
	{
		mo_changes_note(w, "enum", psprintf("%s may now only be %s", mo_path_words(w->path),
								 mo_surface_words(new)),
			 "leave the values open, or list them as x-extensible-enum");
		return;
	}
	if (new->values == NULL)
	{
		mo_changes_note(w, "enum", psprintf("%s may now be any value, was %s", mo_path_words(w->path),
								 mo_surface_words(old)),
			 "keep the list of values");
		return;
	}
	gone = missing_values(old->values, new->values);
	come = missing_values(new->values, old->values);
	if (gone)
		mo_changes_note(w, "enum", psprintf("%s may no longer be %s", mo_path_words(w->path), gone),
			 psprintf("keep %s in the list, even if it is no longer sent",
					  gone));
	if (come)
		mo_changes_note(w, "enum", psprintf("%s may now also be %s", mo_path_words(w->path), come),
			 old->extensible ? NULL :
			 "list the values as x-extensible-enum from the first version on, so that consumers expect new ones");
	if (old->extensible != new->extensible)
		mo_changes_note(w, "x-extensible-enum",
			 psprintf(new->extensible ?
					  "consumers of %s must now expect values that are not listed" :
					  "consumers of %s need no longer expect values that are not listed",
					  mo_path_words(w->path)),
			 NULL);
}

void
mo_changes_strings(MoChangeWalk *w, const MoStringRules *old, const MoStringRules *new)
{
	static const MoStringRules none = {.max_length = PG_UINT32_MAX};
	const char *was;
	const char *is;

	old = old ? old : &none;
	new = new ? new : &none;
	mo_changes_limit(w, "minLength", "at least", "characters",
				  mo_changes_count(old->min_length, 0),
				  mo_changes_count(new->min_length, 0));
	mo_changes_limit(w, "maxLength", "at most", "characters",
				  mo_changes_count(old->max_length, PG_UINT32_MAX),
				  mo_changes_count(new->max_length, PG_UINT32_MAX));
	was = old->pattern ? mo_pattern_source(old->pattern) : NULL;
	is = new->pattern ? mo_pattern_source(new->pattern) : NULL;
	if (was == NULL && is == NULL)
		return;
	if (was == NULL)
		mo_changes_note(w, "pattern", psprintf("%s must now match %s", mo_path_words(w->path), is),
			 "leave pattern out");
	else if (is == NULL)
		mo_changes_note(w, "pattern", psprintf("%s need no longer match %s", mo_path_words(w->path), was),
			 psprintf("keep pattern: %s", was));
	else if (strcmp(was, is) != 0)
		mo_changes_note(w, "pattern", psprintf("%s must now match %s, was %s", mo_path_words(w->path), is,
									was),
			 psprintf("keep pattern: %s", was));
}

void
mo_changes_numbers(MoChangeWalk *w, const MoNumberRules *old, const MoNumberRules *new)
{
	static const MoNumberRules none = {0};
	const char *was;
	const char *is;

	old = old ? old : &none;
	new = new ? new : &none;
	mo_changes_limit(w, "minimum", "at least", NULL, bound_words(old->minimum),
				  bound_words(new->minimum));
	mo_changes_limit(w, "maximum", "at most", NULL, bound_words(old->maximum),
				  bound_words(new->maximum));
	mo_changes_limit(w, "exclusiveMinimum", "more than", NULL,
				  bound_words(old->exclusive_minimum),
				  bound_words(new->exclusive_minimum));
	mo_changes_limit(w, "exclusiveMaximum", "less than", NULL,
				  bound_words(old->exclusive_maximum),
				  bound_words(new->exclusive_maximum));
	was = old->multiple_of ? mo_value_words(&old->multiple_of_value) : NULL;
	is = new->multiple_of ? mo_value_words(&new->multiple_of_value) : NULL;
	if (is && (was == NULL || strcmp(was, is) != 0))
		mo_changes_note(w, "multipleOf",
			 was ? psprintf("%s must now be a multiple of %s, was %s", mo_path_words(w->path),
							is, was) :
			 psprintf("%s must now be a multiple of %s", mo_path_words(w->path), is),
			 was ? psprintf("keep multipleOf: %s", was) :
			 "leave multipleOf out");
	else if (was && is == NULL)
		mo_changes_note(w, "multipleOf", psprintf("%s need no longer be a multiple of %s",
									   mo_path_words(w->path), was),
			 psprintf("keep multipleOf: %s", was));
}
