/*-------------------------------------------------------------------------
 *
 * violation.c
 *	  Says what is wrong with an instance, and where.
 *
 * Called by the walker when a check fails.  While it only asks for validity
 * every function here returns at once; collecting, each adds one MoViolation
 * in the current memory context.  Found values are cut to what a person
 * reads.  A place is classified if any schema that looks at it says so, which
 * may come after the violation, so values are redacted when all is listed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/varlena.h"

#include "contract/walk.h"

#define FOUND_MAX			60	/* bytes of a found value that are shown */
#define SUGGESTION_MAX		3	/* edits between a name and its suggestion */
#define BRANCHES_SHOWN		3	/* alternatives whose violations are listed */
#define ALLOWED_SHOWN		200 /* bytes of an enum that are shown */

/*
 * A sign beyond ASCII, or its substitute for a client whose encoding may not
 * have it: a message that cannot be sent would hide what it says.
 */
const char *
mo_sign(const char *sign, const char *ascii)
{
	return pg_get_client_encoding() == PG_UTF8 ? sign : ascii;
}

/* Appends "/token", escaped as RFC 6901 wants it. */
void
mo_pointer_append(StringInfo buf, const char *token, uint32 len)
{
	appendStringInfoChar(buf, '/');
	for (uint32 i = 0; i < len; i++)
	{
		if (token[i] == '~')
			appendStringInfoString(buf, "~0");
		else if (token[i] == '/')
			appendStringInfoString(buf, "~1");
		else
			appendStringInfoChar(buf, token[i]);
	}
}

/* A StringInfo begins with a kilobyte, too much to keep for each violation. */
static char *
finish_text(StringInfo buf)
{
	char	   *text = pnstrdup(buf->data, buf->len);

	pfree(buf->data);
	return text;
}

static void
append_node_pointer(StringInfo buf, const MoNode *node)
{
	if (node->origin->parent == NULL)
	{
		if (node->origin->resource->external)
			appendStringInfo(buf, "%s#", node->origin->resource->uri);
		return;
	}
	append_node_pointer(buf, node->origin->parent);
	appendStringInfo(buf, "/%s", node->origin->keyword);
	if (node->origin->token)
		mo_pointer_append(buf, node->origin->token, node->origin->token_len);
}

/* Where a subschema stands in its document, palloc'd. */
char *
mo_node_pointer(const MoNode *node)
{
	StringInfoData buf;

	initStringInfo(&buf);
	append_node_pointer(&buf, node);
	return finish_text(&buf);
}

static void
append_step(StringInfo buf, const MoStep *step)
{
	char		index[16];

	if (step == NULL)
		return;
	append_step(buf, step->up);
	if (step->key)
		mo_pointer_append(buf, step->key, step->len);
	else
	{
		snprintf(index, sizeof(index), "%u", step->len);
		mo_pointer_append(buf, index, strlen(index));
	}
}

const char *
mo_walk_place(const MoWalk *w)
{
	StringInfoData buf;

	initStringInfo(&buf);
	append_step(&buf, w->step);
	return finish_text(&buf);
}

/* The candidate that a misspelt name most likely means, or NULL. */
const char *
mo_closest_name(const char *name, uint32 len, const char *const *candidates,
				int count)
{
	const char *best = NULL;
	int			best_distance = Min(SUGGESTION_MAX, (int) len / 2) + 1;

	if (len > 100)
		return NULL;
	for (int i = 0; i < count; i++)
	{
		size_t		other = strlen(candidates[i]);
		int			distance;

		if (other > 100)
			continue;
		distance = varstr_levenshtein_less_equal(name, len, candidates[i],
												 other, 1, 1, 1,
												 best_distance - 1, true);
		if (distance < best_distance)
		{
			best = candidates[i];
			best_distance = distance;
		}
	}
	return best;
}

static char *
shorten(char *text)
{
	size_t		len = strlen(text);

	if (len <= FOUND_MAX)
		return text;
	len = pg_mbcliplen(text, len, FOUND_MAX);
	return psprintf("%s%s", pnstrdup(text, len), mo_sign("…", "..."));
}

static const char *
found_text(const MoValue *v)
{
	MoValue		head = *v;

	if (v->kind == MO_STRING && v->len > FOUND_MAX)
	{
		head.len = pg_mbcliplen(v->data, v->len, FOUND_MAX);
		return psprintf("%s%s", mo_value_text(&head), mo_sign("…", "..."));
	}
	if (v->kind == MO_ARRAY && v->len > 4)
		return psprintf("an array of %u items", v->len);
	if (v->kind == MO_OBJECT && v->len > 4)
		return psprintf("an object of %u properties", v->len);
	return shorten(mo_value_text(v));
}

/*
 * Ends collecting when enough is listed, unless the rest of the walk may
 * still find that a listed place is classified.
 */
static void
stop_at_limit(MoWalk *w)
{
	if (w->limit == 0 || list_length(w->violations) < w->limit)
		return;
	w->violations = list_truncate(w->violations, w->limit);
	if (!w->program->classified)
		w->collect = false;
}

static void
add_violation(MoWalk *w, const MoNode *node, const char *keyword,
			  const MoValue *v, const char *hint, const char *message)
{
	MoViolation *violation = palloc0(sizeof(MoViolation));
	StringInfoData place;

	initStringInfo(&place);
	append_node_pointer(&place, node);
	if (keyword)
		mo_pointer_append(&place, keyword, strlen(keyword));
	violation->instance_pointer = mo_walk_place(w);
	violation->schema_pointer = finish_text(&place);
	violation->keyword = keyword;
	violation->message = message;
	violation->found = v ? found_text(v) : NULL;
	violation->hint = hint;
	w->violations = lappend(w->violations, violation);
	stop_at_limit(w);
}

/*
 * Reports that a value breaks a keyword of a node; v is the offending value,
 * or NULL where showing it would not help.
 */
bool
mo_violate(MoWalk *w, const MoNode *node, const char *keyword,
		   const MoValue *v, const char *hint, const char *format,...)
{
	StringInfoData message;

	if (!w->collect)
		return false;
	initStringInfo(&message);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&message, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	add_violation(w, node, keyword, v, hint, finish_text(&message));
	return false;
}

bool
mo_violate_type(MoWalk *w, const MoNode *node, const MoValue *v)
{
	StringInfoData types;
	const char *hint = NULL;

	if (!w->collect)
		return false;
	initStringInfo(&types);
	for (MoKind kind = MO_NULL; kind <= MO_OBJECT; kind++)
	{
		if (node->types & MO_T(kind))
			appendStringInfo(&types, "%s%s", types.len ? " or " : "",
							 mo_kind_name(kind));
	}
	if (node->types & MO_T_INTEGER)
		appendStringInfo(&types, "%sinteger", types.len ? " or " : "");
	if (v->kind == MO_NULL)
		hint = "Leave the property out if it has no value.";
	else if (v->kind == MO_STRING &&
			 (node->types & (MO_T(MO_NUMBER) | MO_T_INTEGER)))
		hint = "Write numbers without quotes.";
	return mo_violate(w, node, "type", v, hint, "must be %s, not %s",
					  types.data, mo_kind_name(v->kind));
}

static const char *
closest_value(const MoEnum *e, const MoValue *v)
{
	const char **names = palloc(sizeof(char *) * e->count);
	int			n = 0;
	const char *close;

	for (int i = 0; i < e->count && n < 1000; i++)
	{
		if (e->values[i].kind == MO_STRING)
			names[n++] = mo_value_cstring(&e->values[i]);
	}
	close = mo_closest_name(v->data, v->len, names, n);
	return close ? psprintf("Did you mean \"%s\"?", close) : NULL;
}

bool
mo_violate_enum(MoWalk *w, const MoNode *node, const MoEnum *e,
				const MoValue *v)
{
	StringInfoData allowed;
	const char *hint = NULL;
	MoCursor	cursor;
	MoValue		value;

	if (!w->collect)
		return false;
	if (v->kind == MO_STRING)
		hint = closest_value(e, v);
	if (e->is_const)
		return mo_violate(w, node, "const", v, hint, "must be %s",
						  shorten(mo_value_text(&e->written)));
	initStringInfo(&allowed);
	mo_cursor_begin(&cursor, &e->written);
	while (mo_cursor_element(&cursor, &value))
	{
		if (allowed.len > ALLOWED_SHOWN)
		{
			appendStringInfo(&allowed, ", %s (%d in all)",
							 mo_sign("…", "..."), e->count);
			break;
		}
		appendStringInfo(&allowed, "%s%s", allowed.len ? ", " : "",
						 shorten(mo_value_text(&value)));
	}
	return mo_violate(w, node, "enum", v, hint, "must be one of %s",
					  allowed.data);
}

/*
 * Reports a property that nothing declares.  The keyword is NULL in reading
 * P, where no keyword forbids the name but the contract as a whole.
 */
bool
mo_violate_unknown(MoWalk *w, const MoNode *node, const MoValue *object,
				   const char *keyword, const char *name, uint32 len,
				   const MoValue *v)
{
	const MoObjectRules *rules = node->object;
	const char **names;
	const char *close = NULL;
	MoStep		step = {w->step, name, len};
	int			n = 0;

	if (!w->collect)
		return false;
	if (rules)
	{
		names = palloc(sizeof(char *) * Max(rules->nproperties, 1));
		for (int i = 0; i < rules->nproperties && n < 1000; i++)
		{
			MoValue		present;
			const MoProperty *p = &rules->properties[i];

			if (p->node &&
				!mo_value_member(object, p->name, p->len, &present, NULL))
				names[n++] = pnstrdup(p->name, p->len);
		}
		close = mo_closest_name(name, len, names, n);
		for (int i = 0; i < n; i++)
		{
			if (names[i] != close)
				pfree(unconstify(char *, names[i]));
		}
		pfree(names);
	}
	w->step = &step;
	mo_violate(w, node, keyword, v,
			   keyword ? NULL :
			   "Events may only carry what their contract declares; propose a new version to add a property.",
			   close ? "unknown property %s, did you mean %s?" :
			   "unknown property %s", pnstrdup(name, len), close);
	w->step = step.up;
	return false;
}

/* One alternative of an anyOf or oneOf, and how far the value is from it. */
typedef struct Branch
{
	int			index;
	int			distance;
	List	   *violations;
} Branch;

/*
 * The wrong kind of value is further away than a discriminator that says
 * something else, and that further than anything inside the right branch.
 */
static int
violation_weight(const MoViolation *violation, const char *place)
{
	const char *below = violation->instance_pointer + strlen(place);
	bool		here = *below == '\0';
	bool		member = !here && strchr(below + 1, '/') == NULL;

	if (violation->keyword == NULL)
		return 5;
	if (here && strcmp(violation->keyword, "type") == 0)
		return 1000;
	if ((here || member) && (strcmp(violation->keyword, "const") == 0 ||
							 strcmp(violation->keyword, "enum") == 0))
		return 100;
	if (strcmp(violation->keyword, "required") == 0)
		return 10;
	return 3;
}

static int
compare_branches(const void *a, const void *b)
{
	const Branch *x = a;
	const Branch *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static void
explain_branch(MoWalk *w, Branch *branch, const MoNode *node,
			   const MoValue *v, int mode)
{
	const char *place = mo_walk_place(w);
	List	   *outer = w->violations;
	int			limit = w->limit;
	int			start = w->ntrail;
	ListCell   *lc;

	w->violations = NIL;
	w->limit = 0;
	mo_walk(w, node, v, mode);
	w->ntrail = start;
	branch->violations = w->violations;
	branch->distance = 0;
	foreach(lc, branch->violations)
		branch->distance += violation_weight(lfirst(lc), place);
	w->violations = outer;
	w->limit = limit;
}

/* Reports that no alternative applies, the closest one first. */
bool
mo_violate_branches(MoWalk *w, const MoNode *node, const char *keyword,
					MoNode **branches, int count, const MoValue *v, int mode)
{
	Branch	   *sorted;

	if (!w->collect)
		return false;
	sorted = palloc(sizeof(Branch) * count);
	for (int i = 0; i < count; i++)
	{
		sorted[i].index = i;
		explain_branch(w, &sorted[i], branches[i], v, mode);
	}
	qsort(sorted, count, sizeof(Branch), compare_branches);
	mo_violate(w, node, keyword, v, NULL,
			   "matches none of the %d alternatives; the closest is %s/%d",
			   count, keyword, sorted[0].index);
	for (int i = 0; i < Min(count, BRANCHES_SHOWN) && w->collect; i++)
		w->violations = list_concat(w->violations, sorted[i].violations);
	stop_at_limit(w);
	if (MO_NOTES(mode))
		mo_trail_declare(w, branches[sorted[0].index], v);
	return false;
}

/* Notes that the current place is classified. */
void
mo_violation_classify(MoWalk *w)
{
	w->classified = lappend(w->classified,
							unconstify(char *, mo_walk_place(w)));
}

/* Is "place" the same as "outer", or inside of it? */
static bool
is_within(const char *place, const char *outer)
{
	size_t		len = strlen(outer);

	return strncmp(place, outer, len) == 0 &&
		(place[len] == '\0' || place[len] == '/');
}

/* A value is not shown if it is, holds, or is part of a classified one. */
void
mo_violation_redact(MoWalk *w)
{
	ListCell   *lc;
	ListCell   *place;

	if (w->classified == NIL)
		return;
	foreach(lc, w->violations)
	{
		MoViolation *v = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		foreach(place, w->classified)
		{
			if (v->found && (is_within(v->instance_pointer, lfirst(place)) ||
							 is_within(lfirst(place), v->instance_pointer)))
			{
				v->found = "(redacted)";
				if (v->keyword && strcmp(v->keyword, "enum") == 0)
					v->hint = NULL;
			}
		}
	}
}
