/*-------------------------------------------------------------------------
 *
 * duplicates.c
 *	  Finds members that a JSON text gives twice.
 *
 * Converting to jsonb keeps the last of them in silence, so a schema is
 * looked at as text first.  Called by check_schema.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/jsonfuncs.h"

#include "compat.h"
#include "contract/compile.h"

/* One object or array that is open. */
typedef struct Level
{
	struct Level *up;
	bool		is_array;
	int			index;			/* of the current element */
	const char *name;			/* of the current member */
	int			count;
	int			size;
	char	  **names;
} Level;

typedef struct DuplicateSearch
{
	JsonLexContext *lexer;
	Level	   *level;
	List	   *faults;
} DuplicateSearch;

static void
open_level(DuplicateSearch *search, bool is_array)
{
	Level	   *level = palloc0(sizeof(Level));

	level->is_array = is_array;
	level->index = -1;
	level->up = search->level;
	search->level = level;
}

static void
append_place(StringInfo buf, const Level *level)
{
	char	   *index;

	if (level == NULL)
		return;
	append_place(buf, level->up);
	index = psprintf("%d", level->index);
	if (level->is_array)
		mo_pointer_append(buf, index, strlen(index));
	else
		mo_pointer_append(buf, level->name, strlen(level->name));
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static void
close_level(DuplicateSearch *search)
{
	Level	   *level = search->level;

	if (level->count > 1)
		qsort(level->names, level->count, sizeof(char *), compare_names);
	for (int i = 1; i < level->count; i++)
	{
		StringInfoData place;
		MoViolation *fault;

		if (strcmp(level->names[i - 1], level->names[i]) != 0)
			continue;
		initStringInfo(&place);
		append_place(&place, level->up);
		mo_pointer_append(&place, level->names[i], strlen(level->names[i]));
		fault = palloc0(sizeof(MoViolation));
		fault->instance_pointer = fault->schema_pointer = place.data;
		fault->message = psprintf("%s is given more than once",
								  level->names[i]);
		fault->hint = "Only the last one would count.";
		search->faults = lappend(search->faults, fault);
	}
	search->level = level->up;
}

static MoJsonResult
object_start(void *state)
{
	open_level(state, false);
	MO_JSON_CONTINUE;
}

static MoJsonResult
array_start(void *state)
{
	open_level(state, true);
	MO_JSON_CONTINUE;
}

static MoJsonResult
level_end(void *state)
{
	close_level(state);
	MO_JSON_CONTINUE;
}

static MoJsonResult
member_start(void *state, char *name, bool isnull)
{
	Level	   *level = ((DuplicateSearch *) state)->level;

	if (level->count == level->size)
	{
		level->size = Max(8, level->size * 2);
		level->names = level->names ?
			repalloc(level->names, level->size * sizeof(char *)) :
			palloc(level->size * sizeof(char *));
	}
	level->names[level->count++] = name;
	level->name = name;
	MO_JSON_CONTINUE;
}

static MoJsonResult
element_start(void *state, bool isnull)
{
	((DuplicateSearch *) state)->level->index++;
	MO_JSON_CONTINUE;
}

/* The repeated members of a JSON text, as MoViolation. */
List *
mo_duplicates_find(text *json)
{
	DuplicateSearch search = {0};
	JsonSemAction actions = {0};

	actions.semstate = &search;
	actions.object_start = object_start;
	actions.object_end = level_end;
	actions.array_start = array_start;
	actions.array_end = level_end;
	actions.object_field_start = member_start;
	actions.array_element_start = element_start;
	search.lexer = mo_json_lexer(json);
	pg_parse_json_or_ereport(search.lexer, &actions);
	return search.faults;
}

/* Is it JSON text?  Unlike json's input function, says so without an error. */
bool
mo_json_text_is_valid(text *json)
{
	return pg_parse_json(mo_json_lexer(json), &nullSemAction) == JSON_SUCCESS;
}
