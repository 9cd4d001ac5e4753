/*-------------------------------------------------------------------------
 *
 * producer_options.h
 *	  A publisher's options, read from JSON and checked against the list of
 *	  what is allowed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PRODUCER_OPTIONS_H
#define MO_PRODUCER_OPTIONS_H

#include "nodes/pg_list.h"

typedef enum MoOptionKind
{
	MO_OPTION_PLAIN,
	MO_OPTION_PATH,				/* names a file of the server */
	MO_OPTION_SECRET,				/* only as {"file": …} */
	MO_OPTION_OURS					/* set by us alone */
} MoOptionKind;

/* One option as given. */
typedef struct MoGivenOption
{
	char	   *name;
	char	   *value;			/* of a secret: what its file holds */
	MoOptionKind	kind;
} MoGivenOption;

/*
 * List of MoGivenOption.  Raises an error for what is not allowed; "by_user":
 * a user gives them now, and needs the right to name files.
 */
extern List *mo_options_read(const char *json, bool by_user);

/* Nothing of a secret stays in memory that is merely freed. */
extern void mo_options_forget(List *options);

#endif							/* MO_PRODUCER_OPTIONS_H */
