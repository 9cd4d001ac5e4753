/*-------------------------------------------------------------------------
 *
 * changes_find.c
 *	  Which change explains a violation.
 *
 * The prover gives a document and the place where it breaks a schema; the
 * diff gives changes with the places where they show.  Called by
 * changes_sql.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/changes.h"

/*
 * How many steps of a change's path match those of a place in a document;
 * -1 when one does not.  "*" stands for any item, "{...}" for the members
 * that a pattern names.
 */
static int
matching_steps(const char *general, const char *path)
{
	int			steps = 0;

	while (*general && *path)
	{
		const char *general_end = strchr(general + 1, '/');
		const char *path_end = strchr(path + 1, '/');
		int			general_len = general_end ? general_end - general :
			strlen(general);
		int			path_len = path_end ? path_end - path : strlen(path);
		bool		any = (general_len == 2 && general[1] == '*') ||
			general[1] == '{';

		if (!any && (general_len != path_len ||
					 strncmp(general, path, path_len) != 0))
			return -1;
		steps++;
		general += general_len;
		path += path_len;
	}
	return steps;
}

static int
count_steps(const char *path)
{
	int			n = 0;

	for (; *path; path++)
		n += (*path == '/');
	return n;
}

/* How well a change explains a violation: 0 for not at all. */
static int
explains(const MoChange *c, const char *path, const char *keyword,
		 const char *message)
{
	int			matching = matching_steps(c->path, path);
	int			own = count_steps(c->path);
	int			there = count_steps(path);
	const char *name = strrchr(c->path, '/');
	const char *last = strrchr(path, '/');

	if (matching < 0)
		/* the same definition at another place, which is not noted twice */
		return name && last && strcmp(name, last) == 0 &&
			strcmp(c->keyword, keyword) == 0 ? 10 : 0;
	if (own == there)
		return strcmp(c->keyword, keyword) == 0 ? 100 : 90;
	/* a member that the message names */
	if (own == there + 1 && matching == there && strstr(message, name + 1))
		return strcmp(c->keyword, "required") == 0 ||
			strcmp(c->keyword, "properties") == 0 ? 95 : 80;
	/* a change further out, the nearer the better, or further in */
	return own < there ? 40 + Min(20, own) : 20;
}

MoChange *
mo_changes_find(List *changes, const char *path, const char *keyword,
				const char *message)
{
	MoChange   *best = NULL;
	int			best_score = 0;
	ListCell   *cell;

	foreach(cell, changes)
	{
		MoChange   *c = lfirst(cell);
		int			score = c->annotation ? 0 :
			explains(c, path, keyword ? keyword : "", message ? message : "");

		if (score > best_score)
		{
			best = c;
			best_score = score;
		}
	}
	return best;
}
