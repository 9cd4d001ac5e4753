/*-------------------------------------------------------------------------
 *
 * marker.h
 *	  The marker's text, and the timeline history it is judged by.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_MARKER_H
#define MO_MARKER_H

#include "access/xlogdefs.h"

#include "publisher/batch.h"

#define MO_INCARNATION_SIZE 33	/* 32 hex digits and a zero */

/* The timelines a server's WAL went through, oldest first. */
typedef struct MoHistory
{
	int			n;				/* ancestors */
	TimeLineID *timeline;
	XLogRecPtr *end;			/* where each was left */
	TimeLineID	current;
	char	   *text;			/* "1@0/5000000,2@0/7000000,3": names a branch */
} MoHistory;

typedef struct MoMarker
{
	MoPosition	position;
	MoHistory	history;		/* of its writer */
	char		incarnation[MO_INCARNATION_SIZE];
	XLogRecPtr	dead_lsn;		/* R: newest dead letter it relies on */
} MoMarker;

/* This server's history; needs no snapshot. */
extern void mo_marker_own_history(MoHistory *history);

/* The branch that a commit at "lsn" of this history was made on. */
extern char *mo_marker_branch_at(const MoHistory *history, XLogRecPtr lsn);

/* The metadata text stored beside the offset (which is the commit LSN). */
extern char *mo_marker_format(const MoMarker *marker);

/* False when the text is none of ours. */
extern bool mo_marker_parse(XLogRecPtr lsn, const char *text,
							MoMarker *marker);

/*
 * Is the marker's branch mine or an ancestor of mine, and the marker and all
 * it relies on at or before the place where my history left that branch?
 * If not, *why is a sentence.
 */
extern bool mo_marker_in_history(const MoMarker *marker,
								 const MoHistory *mine, const char **why);

/* Is the marker's branch a proper ancestor of mine? */
extern bool mo_marker_is_ancestor(const MoMarker *marker,
								  const MoHistory *mine);

extern void mo_marker_new_incarnation(char *incarnation);

#endif							/* MO_MARKER_H */
