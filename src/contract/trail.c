/*-------------------------------------------------------------------------
 *
 * trail.c
 *	  What has been evaluated: unevaluated*, and reading P of a contract.
 *
 * Both questions are "which members did some successful schema look at?",
 * asked at different ranges.  unevaluatedProperties asks about one location
 * and the schemas applied in place next to it; reading P asks about every
 * location below a node, after all schemas that reach it have been walked.
 * Both are answered from the trail that the walk left behind (walk.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "contract/walk.h"

#define BITS_INLINE		16		/* 1024 members */

/* A set of members or elements of one location. */
typedef struct EvaluatedSet
{
	bool		all;
	uint64	   *bits;
	uint64		inline_bits[BITS_INLINE];
} EvaluatedSet;

void
mo_trail_mark(MoWalk *w, const MoValue *v, int index)
{
	if (w->ntrail == w->trail_size)
	{
		Size		size = sizeof(MoMark) * (Size) w->trail_size;

		if (w->trail == w->trail_inline)
		{
			w->trail = MemoryContextAllocHuge(CurrentMemoryContext, 2 * size);
			memcpy(w->trail, w->trail_inline, size);
		}
		else
			w->trail = repalloc_huge(w->trail, 2 * size);
		w->trail_size *= 2;
	}
	w->trail[w->ntrail].container = mo_value_container(v);
	w->trail[w->ntrail++].index = index;
}

static void
set_begin(EvaluatedSet *set, uint32 count)
{
	Size		words = (count + 63) / 64;

	set->all = false;
	set->bits = words <= BITS_INLINE ? set->inline_bits :
		palloc(words * sizeof(uint64));
	memset(set->bits, 0, words * sizeof(uint64));
}

static void
set_end(EvaluatedSet *set)
{
	if (set->bits != set->inline_bits)
		pfree(set->bits);
}

static inline void
set_add(EvaluatedSet *set, int index)
{
	set->bits[index / 64] |= UINT64CONST(1) << (index % 64);
}

static inline bool
set_has(const EvaluatedSet *set, int index)
{
	return set->all ||
		(set->bits[index / 64] & (UINT64CONST(1) << (index % 64))) != 0;
}

static void
set_add_mark(EvaluatedSet *set, int index)
{
	if (index >= 0)
		set_add(set, index);
	else if (index == MO_MARK_ALL)
		set->all = true;
	else if (index != MO_MARK_DECLARES)
	{
		for (int i = 0; i < MO_MARK_PREFIX - index; i++)
			set_add(set, i);
	}
}

/* Collects what the trail says of v since "start". */
static void
set_read(EvaluatedSet *set, const MoWalk *w, const MoValue *v, int start)
{
	set_begin(set, v->len);
	for (int i = start; i < w->ntrail && !set->all; i++)
	{
		if (w->trail[i].container == mo_value_container(v))
			set_add_mark(set, w->trail[i].index);
	}
}

bool
mo_trail_unevaluated_properties(MoWalk *w, const MoNode *node,
								const MoValue *v, int start, int mode)
{
	const MoNode *schema = node->unevaluated_properties;
	EvaluatedSet set;
	MoCursor	cursor;
	const char *key;
	uint32		len;
	MoValue		member;
	bool		ok = true;

	set_read(&set, w, v, start);
	mo_cursor_begin(&cursor, v);
	while ((ok || w->collect) && !set.all &&
		   mo_cursor_member(&cursor, &key, &len, &member))
	{
		MoStep		step = {w->step, key, len};

		if (set_has(&set, cursor.next - 1))
			continue;
		if (schema->never)
		{
			ok = mo_violate_unknown(w, node, v, "unevaluatedProperties",
									key, len, &member);
			continue;
		}
		w->step = &step;
		ok &= mo_walk(w, schema, &member, MO_CHILD_MODE(mode));
		w->step = step.up;
	}
	set_end(&set);
	mo_trail_mark(w, v, MO_MARK_ALL);
	return ok;
}

bool
mo_trail_unevaluated_items(MoWalk *w, const MoNode *node, const MoValue *v,
						   int start, int mode)
{
	EvaluatedSet set;
	MoCursor	cursor;
	MoValue		element;
	bool		ok = true;

	set_read(&set, w, v, start);
	mo_cursor_begin(&cursor, v);
	while ((ok || w->collect) && !set.all &&
		   mo_cursor_element(&cursor, &element))
	{
		MoStep		step = {w->step, NULL, cursor.next - 1};

		if (set_has(&set, cursor.next - 1))
			continue;
		w->step = &step;
		if (node->unevaluated_items->never)
			ok = mo_violate(w, node, "unevaluatedItems", &element, NULL,
							"is an item that the schema does not allow");
		else
			ok &= mo_walk(w, node->unevaluated_items, &element,
						  MO_CHILD_MODE(mode));
		w->step = step.up;
	}
	set_end(&set);
	mo_trail_mark(w, v, MO_MARK_ALL);
	return ok;
}

static int
compare_marks(const void *a, const void *b)
{
	const MoMark *x = a;
	const MoMark *y = b;

	if (x->container != y->container)
		return x->container < y->container ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* One location: refuses the members that nobody evaluated. */
static bool
close_location(MoWalk *w, const MoNode *node, const MoValue *v,
			   const MoMark *marks, int count)
{
	EvaluatedSet set;
	MoCursor	cursor;
	const char *key;
	uint32		len;
	MoValue		member;
	bool		declares = false;
	bool		ok = true;

	set_begin(&set, v->len);
	for (int i = 0; i < count; i++)
	{
		declares |= marks[i].index == MO_MARK_DECLARES;
		set_add_mark(&set, marks[i].index);
	}
	mo_cursor_begin(&cursor, v);
	while (declares && !set.all && (ok || w->collect) &&
		   mo_cursor_member(&cursor, &key, &len, &member))
	{
		if (!set_has(&set, cursor.next - 1))
			ok = mo_violate_unknown(w, node, v, NULL, key, len, &member);
	}
	set_end(&set);
	return ok;
}

/* Finds the marks of a container among the sorted ones. */
static int
find_marks(const MoMark *marks, int n, const JsonbContainer *container,
		   int *count)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			mid = low + (high - low) / 2;

		if (marks[mid].container < container)
			low = mid + 1;
		else
			high = mid;
	}
	for (*count = 0; low + *count < n &&
		 marks[low + *count].container == container; (*count)++)
		;
	return low;
}

/*
 * Visits the locations at and below v.  Only where marks point into it can a
 * subtree hold a location to close, which keeps free-form parts cheap.
 */
static bool
close_below(MoWalk *w, const MoNode *node, const MoValue *v,
			const MoMark *marks, int n)
{
	MoCursor	cursor;
	const char *key;
	uint32		len;
	MoValue		child;
	bool		ok = true;
	int			count;
	int			first;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	first = find_marks(marks, n, mo_value_container(v), &count);
	if (v->kind == MO_OBJECT && count > 0)
		ok = close_location(w, node, v, &marks[first], count);
	if (first + count >= n)
		return ok;
	mo_cursor_begin(&cursor, v);
	for (;;)
	{
		MoStep		step = {w->step, NULL, cursor.next};

		if (!ok && !w->collect)
			return false;
		if (v->kind == MO_OBJECT)
		{
			if (!mo_cursor_member(&cursor, &key, &len, &child))
				return ok;
			step.key = key;
			step.len = len;
		}
		else if (!mo_cursor_element(&cursor, &child))
			return ok;
		if (child.kind < MO_ARRAY)
			continue;
		w->step = &step;
		ok &= close_below(w, node, &child, marks, n);
		w->step = step.up;
	}
}

/*
 * Reading P below a node that more than one schema looks into: every member
 * of a location where names were declared must have been evaluated.
 */
bool
mo_trail_closed(MoWalk *w, const MoNode *node, const MoValue *v, int start)
{
	int			n = w->ntrail - start;
	MoMark	   *marks;
	bool		ok;

	if (n == 0 || v->kind < MO_ARRAY)
		return true;
	marks = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(MoMark) * (Size) n);
	memcpy(marks, w->trail + start, sizeof(MoMark) * (Size) n);
	qsort(marks, n, sizeof(MoMark), compare_marks);
	ok = close_below(w, node, v, marks, n);
	pfree(marks);
	return ok;
}

static void
declare_in_place(MoWalk *w, const MoApply *apply, const MoValue *v)
{
	if (apply->ref)
		mo_trail_declare(w, apply->ref, v);
	if (apply->dynamic_ref)
		mo_trail_declare(w, apply->dynamic_ref, v);
	for (int i = 0; i < apply->nall; i++)
		mo_trail_declare(w, apply->all[i], v);
	for (int i = 0; i < apply->nany; i++)
		mo_trail_declare(w, apply->any[i], v);
	for (int i = 0; i < apply->none_of; i++)
		mo_trail_declare(w, apply->one[i], v);
	if (apply->condition)
		mo_trail_declare(w, apply->condition, v);
	if (apply->consequence)
		mo_trail_declare(w, apply->consequence, v);
	if (apply->alternative)
		mo_trail_declare(w, apply->alternative, v);
}

/* The node that "properties" or a pattern has for a member, if any. */
static const MoNode *
declared_member(const MoObjectRules *rules, const char *key, uint32 len)
{
	for (int i = 0; i < rules->nproperties; i++)
	{
		const MoProperty *p = &rules->properties[i];

		if (p->node && mo_key_compare(p->name, p->len, key, len) == 0)
			return p->node;
	}
	for (int i = 0; i < rules->npatterns; i++)
	{
		if (mo_pattern_matches(rules->patterns[i].pattern, key, len))
			return rules->patterns[i].node;
	}
	return rules->additional;
}

/*
 * Notes the names that a schema mentions as declared although it failed:
 * those of an "if" whose condition does not hold, and those of the
 * alternative that came closest, so that they are not reported twice.
 */
void
mo_trail_declare(MoWalk *w, const MoNode *node, const MoValue *v)
{
	MoCursor	cursor;
	const char *key;
	uint32		len;
	MoValue		child;

	if (v->kind < MO_ARRAY)
		return;
	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (node->apply)
		declare_in_place(w, node->apply, v);
	mo_cursor_begin(&cursor, v);
	if (v->kind == MO_OBJECT && node->object)
	{
		if (node->object->declares)
			mo_trail_mark(w, v, MO_MARK_DECLARES);
		while (mo_cursor_member(&cursor, &key, &len, &child))
		{
			const MoNode *member = declared_member(node->object, key, len);

			if (member == NULL)
				continue;
			mo_trail_mark(w, v, cursor.next - 1);
			mo_trail_declare(w, member, &child);
		}
	}
	else if (v->kind == MO_ARRAY && node->array && node->array->items)
	{
		while (mo_cursor_element(&cursor, &child))
			mo_trail_declare(w, node->array->items, &child);
	}
}
